/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is Coffer in the way of each engine that is installed here? An engine whose hook or runtime is
 * not set up starts containers that the broker is never told of.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "doctor.h"
#include "fields.h"

#define WRAPPER "coffer-runc"
#define HOOK "coffer-hook"

static const char *const docker_traces[] = { "/usr/bin/dockerd", "/usr/local/bin/dockerd",
	                                     "/usr/sbin/dockerd", "/etc/docker/daemon.json", NULL };

static bool is_there(const struct doctor *d, const char *const *paths)
{
	char path[DOCTOR_PATH_MAX];

	for (; *paths; paths++)
		if (access(doctor_path(d, *paths, path), F_OK) == 0)
			return true;
	return false;
}

/* The program that an engine is told to run: there, and to be run. */
static void check_program_of(struct doctor *d, const char *engine, const char *program)
{
	static const struct doctor_advice advice = {
		"the engine cannot start a container with it",
		"install Coffer's programs, or name the path where they are"
	};
	char path[DOCTOR_PATH_MAX];
	struct stat st;

	doctor_path(d, program, path);
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & S_IXUSR))
		doctor_found(d, DOCTOR_ERROR, &advice,
		             "%s is told to run %s, which is no program that is there", engine,
		             path);
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len >= n && strcmp(text + len - n, end) == 0;
}

/* The runtime of daemon.json that is ours: its name. NULL: none. */
static const char *docker_runtime(struct doctor *d, const json_t *config)
{
	json_t *runtimes = json_object_get(config, "runtimes"), *runtime = NULL;
	const char *name;

	json_object_foreach (runtimes, name, runtime) {
		const char *path = field_text(runtime, "path");

		if (!ends_with(path, WRAPPER))
			continue;
		if (path[0] == '/')
			check_program_of(d, "Docker", path);
		return name;
	}
	return NULL;
}

void check_docker(struct doctor *d)
{
	static const struct doctor_advice none = {
		"the broker is never told of Docker's containers, and they get no secrets",
		"add coffer-runc as a runtime to /etc/docker/daemon.json and restart docker "
		"(docs/docker.md)"
	};
	static const struct doctor_advice bad = {
		"dockerd does not start with it",
		"mend the file; dockerd --validate --config-file /etc/docker/daemon.json says where"
	};
	static const struct doctor_advice optional = {
		"only containers that are started with --runtime get secrets",
		"set \"default-runtime\" to it if all shall, or leave it so"
	};
	static const struct doctor_advice live = {
		"when dockerd is restarted or upgraded all containers end",
		"set \"live-restore\": true in /etc/docker/daemon.json if they shall not"
	};
	SCOPED(json_ptr) json_t *config = NULL;
	char path[DOCTOR_PATH_MAX];
	const char *name;

	if (!is_there(d, docker_traces))
		return;
	doctor_path(d, "/etc/docker/daemon.json", path);
	config = doctor_read_json(path);
	if (!config && access(path, R_OK) == 0) {
		doctor_found(d, DOCTOR_ERROR, &bad, "%s is no JSON", path);
		return;
	}
	name = docker_runtime(d, config);
	if (!name) {
		doctor_found(d, DOCTOR_WARNING, &none, "Docker knows no runtime " WRAPPER);
		return;
	}
	if (strcmp(field_text(config, "default-runtime"), name) != 0)
		doctor_found(d, DOCTOR_NOTE, &optional, "Docker's runtime %s is not its default",
		             name);
	if (!field_true(config, "live-restore"))
		doctor_found(d, DOCTOR_NOTE, &live, "Docker does not restore containers live");
}

/* --- hooks.d --- */

struct hook_search {
	const char *engine;
	bool found;
};

static void visit_hook(struct doctor *d, const char *path, void *arg)
{
	static const struct doctor_advice stage = {
		"at other stages the mounts of the container are not there yet, or not any more",
		"take the file that came with Coffer: \"stages\": [\"createRuntime\", "
		"\"poststop\"]"
	};
	struct hook_search *search = arg;
	SCOPED(json_ptr) json_t *file = doctor_read_json(path);
	const char *program = field_text(json_object_get(file, "hook"), "path");
	json_t *stages = json_object_get(file, "stages"), *name = NULL;
	bool create = false;
	size_t i = 0;

	if (!ends_with(program, HOOK))
		return;
	search->found = true;
	check_program_of(d, search->engine, program);
	json_array_foreach (stages, i, name) {
		if (json_is_string(name) && strcmp(json_string_value(name), "createRuntime") == 0)
			create = true;
	}
	if (!create)
		doctor_found(d, DOCTOR_ERROR, &stage, "the hook in %s is not for createRuntime",
		             path);
}

/*
 * The folders that a containers.conf or crio.conf (TOML) names instead of the usual ones:
 * hooks_dir = ["/a", "/b"]. False: it names none.
 */
static bool named_folders(struct doctor *d, const char *file, struct hook_search *search)
{
	SCOPED(free_ptr) char *text = NULL;
	char path[DOCTOR_PATH_MAX], *list, *state = NULL, *line_start;
	size_t len = 0;

	if (doctor_read(doctor_path(d, file, path), &text, &len) < 0)
		return false;
	list = strstr(text, "hooks_dir");
	for (line_start = list; list && line_start > text && line_start[-1] != '\n';)
		line_start--;
	if (!list || line_start[strspn(line_start, " \t")] == '#')
		return false;
	list[strcspn(list, "]")] = '\0';
	/* What stands between quotes is every other part. */
	(void)strtok_r(list, "\"", &state);
	for (char *folder; (folder = strtok_r(NULL, "\"", &state)); strtok_r(NULL, "\"", &state))
		doctor_each_file(d, doctor_path(d, folder, path), ".json", visit_hook, search);
	return true;
}

static bool has_hook(struct doctor *d, const char *engine, const char *config)
{
	static const char *const folders[] = { "/usr/share/containers/oci/hooks.d",
		                               "/etc/containers/oci/hooks.d" };
	struct hook_search search = { .engine = engine };
	char path[DOCTOR_PATH_MAX];

	if (named_folders(d, config, &search))
		return search.found;
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		doctor_each_file(d, doctor_path(d, folders[i], path), ".json", visit_hook, &search);
	return search.found;
}

/* A configuration that names the wrapper; comments are passed over. */
static bool names_wrapper(const char *path)
{
	SCOPED(free_ptr) char *text = NULL;
	char *state = NULL;
	size_t len = 0;

	if (doctor_read(path, &text, &len) < 0)
		return false;
	for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		line += strspn(line, " \t");
		if (line[0] != '#' && strstr(line, WRAPPER))
			return true;
	}
	return false;
}

static void visit_config(struct doctor *d, const char *path, void *arg)
{
	*(bool *)arg |= names_wrapper(path);
}

static bool config_names_wrapper(struct doctor *d, const char *file, const char *folder,
                                 const char *suffix)
{
	char path[DOCTOR_PATH_MAX];
	bool found = names_wrapper(doctor_path(d, file, path));

	doctor_each_file(d, doctor_path(d, folder, path), suffix, visit_config, &found);
	return found;
}

void check_podman(struct doctor *d)
{
	static const char *const traces[] = { "/usr/bin/podman", "/usr/local/bin/podman", NULL };
	static const struct doctor_advice none = {
		"the broker is never told of Podman's containers, and they get no secrets",
		"put the hook's JSON into /etc/containers/oci/hooks.d (docs/podman.md)"
	};

	if (is_there(d, traces) && !has_hook(d, "Podman", "/etc/containers/containers.conf") &&
	    !config_names_wrapper(d, "/etc/containers/containers.conf",
	                          "/etc/containers/containers.conf.d", ".conf"))
		doctor_found(d, DOCTOR_WARNING, &none, "no hook of Podman's is " HOOK);
}

void check_containerd(struct doctor *d)
{
	/* Where Docker is, its containerd may be there for nobody else. */
	static const char *const traces[] = { "/etc/containerd/config.toml", NULL };
	static const struct doctor_advice none = {
		"pods get no secrets: the CRI plugin starts them with another runtime",
		"add a runtime with BinaryName = coffer-runc to /etc/containerd/config.toml, and a "
		"RuntimeClass (docs/kubernetes.md)"
	};

	if (is_there(d, traces) && !config_names_wrapper(d, "/etc/containerd/config.toml",
	                                                 "/etc/containerd/conf.d", ".toml"))
		doctor_found(d, is_there(d, docker_traces) ? DOCTOR_NOTE : DOCTOR_WARNING, &none,
		             "containerd knows no runtime " WRAPPER);
}

void check_crio(struct doctor *d)
{
	static const char *const traces[] = { "/usr/bin/crio", "/usr/local/bin/crio",
		                              "/etc/crio/crio.conf", NULL };
	static const struct doctor_advice none = {
		"pods get no secrets: CRI-O runs no hook of Coffer's",
		"put the hook's JSON into /etc/containers/oci/hooks.d (docs/kubernetes.md)"
	};

	if (is_there(d, traces) && !has_hook(d, "CRI-O", "/etc/crio/crio.conf") &&
	    !config_names_wrapper(d, "/etc/crio/crio.conf", "/etc/crio/crio.conf.d", ""))
		doctor_found(d, DOCTOR_WARNING, &none, "no hook of CRI-O's is " HOOK);
}
