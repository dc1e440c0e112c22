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

void doctor_program_of(struct doctor *d, const char *engine, const char *program)
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

static bool is_ours(const json_t *runtime)
{
	return doctor_ends_with(field_text(runtime, "path"), WRAPPER);
}

/* The runtime of daemon.json that is ours, the default one before others: its name. NULL: none. */
static const char *docker_runtime(struct doctor *d, const json_t *config)
{
	json_t *runtimes = json_object_get(config, "runtimes"), *runtime = NULL;
	const char *name = field_text(config, "default-runtime"), *other, *path;

	if (!is_ours(json_object_get(runtimes, name))) {
		name = NULL;
		json_object_foreach (runtimes, other, runtime) {
			if (!name && is_ours(runtime))
				name = other;
		}
	}
	path = name ? field_text(json_object_get(runtimes, name), "path") : "";
	if (path[0] == '/')
		doctor_program_of(d, "Docker", path);
	return name;
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

static bool config_names_wrapper(struct doctor *d, const struct doctor_config *config)
{
	bool found = false;

	doctor_each_config(d, config, visit_config, &found);
	return found;
}

void check_podman(struct doctor *d)
{
	static const char *const traces[] = { "/usr/bin/podman", "/usr/local/bin/podman", NULL };
	static const struct doctor_advice none = {
		"the broker is never told of Podman's containers, and they get no secrets",
		"put the hook's JSON into /etc/containers/oci/hooks.d (docs/podman.md)"
	};

	static const struct doctor_config config = { { "/usr/share/containers/containers.conf",
		                                       "/etc/containers/containers.conf" },
		                                     "/etc/containers/containers.conf.d",
		                                     ".conf" };

	if (is_there(d, traces) && !doctor_has_hook(d, "Podman", &config) &&
	    !config_names_wrapper(d, &config))
		doctor_found(d, DOCTOR_WARNING, &none, "no hook of Podman's is coffer-hook");
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

	static const struct doctor_config config = { { "/etc/containerd/config.toml" },
		                                     "/etc/containerd/conf.d",
		                                     ".toml" };

	if (is_there(d, traces) && !config_names_wrapper(d, &config))
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

	static const struct doctor_config config = { { "/etc/crio/crio.conf" },
		                                     "/etc/crio/crio.conf.d",
		                                     "" };

	if (is_there(d, traces) && !doctor_has_hook(d, "CRI-O", &config) &&
	    !config_names_wrapper(d, &config))
		doctor_found(d, DOCTOR_WARNING, &none, "no hook of CRI-O's is coffer-hook");
}
