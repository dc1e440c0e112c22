/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers that run now, from runc's root-owned state and their bundles: which the broker does not
 * know, and which could take from it what they like.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/kern.h"
#include "coffer/name.h"
#include "doctor.h"
#include "fields.h"

#define ID_SHOWN 64 /* of an id; Docker's has as many */

/* Where the broker looks when it is not told otherwise. */
static const char *const default_roots[] = { "/run/runc", "/run/crun",
	                                     "/run/docker/runtime-runc/moby",
	                                     "/run/containerd/runc/default",
	                                     "/run/containerd/runc/k8s.io" };

/* The bundle, among the labels of runc's state. "" without one. */
static const char *bundle_of(const json_t *state)
{
	json_t *labels = json_object_get(json_object_get(state, "config"), "labels"), *label = NULL;
	size_t i = 0;

	json_array_foreach (labels, i, label) {
		const char *text = json_is_string(label) ? json_string_value(label) : "";

		if (strncmp(text, "bundle=/", 8) == 0)
			return text + 7;
	}
	return "";
}

/* What a runtime says of a container: runc's ROOT/ID/state.json, crun's ROOT/ID/status. */
struct runtime_state {
	json_t *document; /* owned */
	const char *bundle;
	int64_t pid, start;
};

static bool runs(const struct runtime_state *state)
{
	uint64_t started = 0;

	return kern_start_time((pid_t)state->pid, &started) == 0 &&
	       started == (uint64_t)state->start;
}

/* -ENOENT: no container is there. */
static int read_state(const char *root, const char *id, struct runtime_state *ret, struct err *why)
{
	static const struct {
		const char *file, *pid, *start;
	} runtimes[] = {
		{ "state.json", "init_process_pid", "init_process_start" },
		{ "status", "pid", "process-start-time" },
	};
	char path[DOCTOR_PATH_MAX];
	int r = -ENOENT;
	size_t i = 0;

	for (; i < ARRAY_LEN(runtimes) && r == -ENOENT; i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", root, id, runtimes[i].file);
		r = doctor_load(path, &ret->document, why);
	}
	if (r < 0)
		return r == -ENOTDIR ? -ENOENT : r; /* a file of the runtime's among the folders */
	i--;
	/* Of one that has ended the pid may be 0 or less. */
	if (json_get_int(ret->document, runtimes[i].pid, true, INT32_MIN, INT32_MAX, &ret->pid,
	                 why) < 0 ||
	    json_get_int(ret->document, runtimes[i].start, true, 0, INT64_MAX, &ret->start, why) <
	            0)
		return err_prefix(why, -EINVAL, "%s", path);
	ret->bundle = i == 0 ? bundle_of(ret->document) : field_text(ret->document, "bundle");
	return ret->pid > 1 && runs(ret) ? 0 : -ENOENT;
}

static int read_bundle(const struct runtime_state *state, json_t **ret, struct err *why)
{
	char path[DOCTOR_PATH_MAX];

	if (state->bundle[0] != '/')
		return err_set(why, -EINVAL, "its runtime's state names no bundle");
	snprintf(path, sizeof(path), "%s/config.json", state->bundle);
	return doctor_load(path, ret, why);
}

/* What there is to say of a container that runs, or may run. False: nothing. */
static bool look_at(struct doctor *d, const char *root, const char *id, struct doctor_container *c)
{
	struct runtime_state state = { 0 };
	struct err why = { "" };
	int r = read_state(root, id, &state, &why);
	bool there = r != -ENOENT;

	if (r == 0) {
		c->pid = (pid_t)state.pid;
		r = read_bundle(&state, &c->config, &why);
		/* It may have ended meanwhile, and its bundle with it. */
		there = r == 0 || runs(&state);
	}
	json_decref(state.document);
	if (r == -EACCES)
		d->barred = true;
	else if (r < 0 && there)
		c->unread = strdup(why.text);
	return there && (c->pid || c->unread);
}

static void add_container(struct doctor *d, const char *root, const char *id)
{
	struct doctor_container c = { 0 }, *grown = NULL;

	if (look_at(d, root, id, &c))
		grown = reallocarray(d->container, d->containers + 1, sizeof(*grown));
	if (grown)
		d->container = grown;
	if (grown && (c.id = strdup(id))) {
		d->container[d->containers++] = c;
		return;
	}
	free(c.unread);
	json_decref(c.config);
}

static void look_into(struct doctor *d, const char *root)
{
	DIR *dir = opendir(root);
	struct dirent *entry;

	if (!dir)
		return;
	d->roots_seen = true;
	while (d->containers < DOCTOR_CONTAINERS_MAX && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			add_container(d, root, entry->d_name);
	closedir(dir);
}

void doctor_find_containers(struct doctor *d)
{
	json_t *roots = json_object_get(d->status, "runc_roots"), *root = NULL;
	char path[DOCTOR_PATH_MAX];
	size_t i = 0;

	/* What the broker names is where it says. */
	json_array_foreach (roots, i, root) {
		if (json_is_string(root))
			look_into(d, json_string_value(root));
	}
	for (i = 0; !json_is_array(roots) && i < ARRAY_LEN(default_roots); i++)
		look_into(d, doctor_path(d, default_roots[i], path));
}

/* As the engine calls it, where the broker knows. */
static const char *name_of(const struct doctor *d, const struct doctor_container *c)
{
	json_t *attachment = NULL;
	size_t i = 0;

	json_array_foreach (json_object_get(d->attachments, "attachments"), i, attachment) {
		if (json_integer_value(json_object_get(attachment, "pid")) == c->pid &&
		    field_text(attachment, "container")[0])
			return field_text(attachment, "container");
	}
	return c->id;
}

/*
 * Says so of a container of which something could not be read. For each check that would have needed
 * it: none may say that all is well of what it has not seen.
 */
static bool is_unread(struct doctor *d, const struct doctor_container *c)
{
	static const struct doctor_advice advice = {
		"what was not looked at may be as it should not be",
		"look at it with its engine's own inspect; if the engine can read that file, tell "
		"Coffer's developers of it"
	};

	if (!c->unread)
		return false;
	doctor_found(d, DOCTOR_WARNING, &advice, "container %.*s was not looked at: %s", ID_SHOWN,
	             name_of(d, c), c->unread);
	return true;
}

static bool is_registered(const struct doctor *d, pid_t pid)
{
	json_t *attachment = NULL;
	size_t i = 0;

	json_array_foreach (json_object_get(d->attachments, "attachments"), i, attachment) {
		if (json_integer_value(json_object_get(attachment, "pid")) == pid)
			return true;
	}
	return false;
}

void check_registered(struct doctor *d)
{
	static const struct doctor_advice unseen = {
		"what runs, and how strong it is, stands in files that only root can read",
		"run coffer doctor as root"
	};
	static const struct doctor_advice advice = {
		"it was started before coffer-hook was set up, by an engine without it, or while "
		"the hook could not leave word; it gets no secret, whatever is granted",
		"coffer attach CONTAINER now; set up the hook or coffer-runc for the next start"
	};

	if ((!d->roots_seen || d->barred) && geteuid() != 0)
		doctor_found(d, DOCTOR_NOTE, &unseen, "containers could not be looked at");
	for (size_t i = 0; i < d->containers; i++) {
		const struct doctor_container *c = &d->container[i];

		if (c->pid == 0)
			is_unread(d, c);
		else if (d->attachments && !is_registered(d, c->pid))
			doctor_found(d, DOCTOR_WARNING, &advice,
			             "container %.*s runs, and the broker does not know it",
			             ID_SHOWN, name_of(d, c));
	}
}

static const json_t *namespace_of(const json_t *config, const char *type)
{
	json_t *list = json_object_get(json_object_get(config, "linux"), "namespaces");
	json_t *one = NULL;
	size_t i = 0;

	json_array_foreach (list, i, one) {
		if (strcmp(field_text(one, "type"), type) == 0)
			return one;
	}
	return NULL;
}

static bool has_capability(const json_t *config, const char *name)
{
	json_t *sets = json_object_get(json_object_get(config, "process"), "capabilities");
	json_t *one = NULL;
	size_t i = 0;

	json_array_foreach (json_object_get(sets, "bounding"), i, one) {
		if (json_is_string(one) && strcmp(json_string_value(one), name) == 0)
			return true;
	}
	return false;
}

/* What makes root of the container root of the host, where no user namespace is between. */
static const struct power {
	const char *capability;
	struct doctor_advice advice;
} powers[] = {
	{ "CAP_SYS_MODULE",
	  { "a privileged container is root of the host: it reads the broker's memory, every "
	    "other container's secrets, and can replace the programs",
	    "run it without --privileged, with the capabilities and devices that it needs; "
	    "otherwise count it as an operator" } },
	{ "CAP_SYS_ADMIN",
	  { "with it a container mounts, and enters namespaces and cgroups that it gets at: "
	    "others' secrets are within its reach",
	    "drop the capability, or give the container a user namespace" } },
	{ "CAP_SYS_PTRACE",
	  { "together with the host's pid namespace it reads the memory of any process",
	    "drop the capability, or give the container a pid namespace of its own" } },
};

static bool is_power(const json_t *config, const struct power *power)
{
	if (!has_capability(config, power->capability))
		return false;
	/* By itself, and in a pid namespace of its own, ptrace reaches its own processes only. */
	return strcmp(power->capability, "CAP_SYS_PTRACE") != 0 || !namespace_of(config, "pid");
}

void check_power(struct doctor *d)
{
	for (size_t i = 0; i < d->containers; i++) {
		const json_t *config = d->container[i].config;

		if (is_unread(d, &d->container[i]) || !config || namespace_of(config, "user"))
			continue;
		for (size_t p = 0; p < ARRAY_LEN(powers); p++) {
			if (!is_power(config, &powers[p]))
				continue;
			doctor_found(d, p == 0 ? DOCTOR_ERROR : DOCTOR_WARNING, &powers[p].advice,
			             "container %.*s %s", ID_SHOWN, name_of(d, &d->container[i]),
			             p == 0 ? "is privileged (CAP_SYS_MODULE)"
			                    : powers[p].capability);
			break;
		}
	}
}

/* Whether `path` is `folder` or below it; and the other way round it holds it. */
static bool is_within(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	if (strcmp(folder, "/") == 0)
		return true;
	return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* Engines' sockets, wherever they are mounted from. */
static const char *const socket_names[] = { "docker.sock", "containerd.sock", "podman.sock",
	                                    "crio.sock" };
/* Where they usually are: in these folders whoever has the folder has the socket. */
static const char *const usual_sockets[] = { "/run/docker.sock", "/run/containerd/containerd.sock",
	                                     "/run/podman/podman.sock", "/run/crio/crio.sock" };

/* The socket that a mount from `source` brings along. NULL: none. */
static const char *engine_socket_in(const struct doctor *d, const char *source)
{
	const char *name = strrchr(source, '/');
	char path[DOCTOR_PATH_MAX];

	for (size_t i = 0; name && i < ARRAY_LEN(socket_names); i++)
		if (strcmp(name + 1, socket_names[i]) == 0)
			return socket_names[i];
	for (size_t i = 0; i < ARRAY_LEN(usual_sockets); i++)
		if (is_within(usual_sockets[i], source) &&
		    access(doctor_path(d, usual_sockets[i], path), F_OK) == 0)
			return usual_sockets[i];
	return NULL;
}

static bool is_read_only(const json_t *mount)
{
	json_t *options = json_object_get(mount, "options"), *one = NULL;
	bool ro = false;
	size_t i = 0;

	json_array_foreach (options, i, one) {
		const char *text = json_is_string(one) ? json_string_value(one) : "";

		if (strcmp(text, "ro") == 0 || strcmp(text, "rro") == 0)
			ro = true;
		else if (strcmp(text, "rw") == 0)
			ro = false;
	}
	return ro;
}

/* The source of a bind mount, as it is on the host: /var/run is /run. NULL: it is none. */
static const char *bind_source(const json_t *mount, char buffer[DOCTOR_PATH_MAX])
{
	const char *source = field_text(mount, "source"), *type = field_text(mount, "type");
	size_t len;

	if (source[0] != '/' || (type[0] && strcmp(type, "bind") != 0 && strcmp(type, "none") != 0))
		return NULL;
	snprintf(buffer, DOCTOR_PATH_MAX, "%s",
	         strncmp(source, "/var/run", 8) == 0 && (source[8] == '/' || !source[8])
	                 ? source + 4
	                 : source);
	len = strlen(buffer);
	while (len > 1 && buffer[len - 1] == '/')
		buffer[--len] = '\0';
	return buffer;
}

static void check_mount(struct doctor *d, const struct doctor_container *c, const json_t *mount)
{
	static const struct doctor_advice engine = {
		"whoever talks to an engine starts containers with any name, label and mount: it "
		"is "
		"root of the host, and gets every secret; a read-only mount of a socket changes "
		"nothing",
		"take the mount away, or put a proxy before the engine that allows what is needed; "
		"otherwise count the container as an operator"
	};
	static const struct doctor_advice root = {
		"it can replace programs and read the store's key and the disk of every container",
		"mount the folders that it needs, read-only where that is enough"
	};
	static const struct doctor_advice broker = {
		"its root can put sockets and registrations of its own in the place of the "
		"broker's, for all containers",
		"mount the workload folder alone, read-only (docs/containers.md)"
	};
	char buffer[DOCTOR_PATH_MAX];
	const char *source = bind_source(mount, buffer), *socket;
	const char *runtime = d->client->runtime_dir;
	char state[DOCTOR_PATH_MAX];

	if (!source)
		return;
	snprintf(state, sizeof(state), "%s", field_text(d->status, "state_dir"));
	socket = engine_socket_in(d, source);
	if (strcmp(source, "/") == 0)
		doctor_found(d, DOCTOR_ERROR, &root, "container %.*s has the host's root (%s)",
		             ID_SHOWN, name_of(d, c), is_read_only(mount) ? "to read" : "to write");
	else if (socket)
		doctor_found(d, DOCTOR_ERROR, &engine,
		             "container %.*s has an engine's socket (%s, from %s)", ID_SHOWN,
		             name_of(d, c), socket, source);
	else if (is_within(runtime, source) || (state[0] && is_within(state, source)))
		doctor_found(d, DOCTOR_ERROR, &broker, "container %.*s has the broker's folder %s",
		             ID_SHOWN, name_of(d, c), source);
	else if (is_within(source, runtime) && !is_read_only(mount))
		doctor_found(d, DOCTOR_WARNING, &broker,
		             "container %.*s has %s of the broker's folder, writable", ID_SHOWN,
		             name_of(d, c), source);
}

void check_reach(struct doctor *d)
{
	for (size_t i = 0; i < d->containers; i++) {
		json_t *mounts = json_object_get(d->container[i].config, "mounts"), *mount = NULL;
		size_t j = 0;

		is_unread(d, &d->container[i]);
		json_array_foreach (mounts, j, mount)
			check_mount(d, &d->container[i], mount);
	}
}

void check_namespaces(struct doctor *d)
{
	static const struct doctor_advice host = {
		"processes of the host and of others like it cannot be told from its own by the "
		"kernel: only grants with --allow-weak match it",
		"give it a pid namespace of its own, or grant with --allow-weak"
	};

	for (size_t i = 0; i < d->containers; i++)
		if (!is_unread(d, &d->container[i]) && d->container[i].config &&
		    !namespace_of(d->container[i].config, "pid"))
			doctor_found(d, DOCTOR_WARNING, &host,
			             "container %.*s is in the host's pid namespace", ID_SHOWN,
			             name_of(d, &d->container[i]));
}
