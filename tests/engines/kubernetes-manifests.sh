#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The manifests of docs/examples/kubernetes are valid YAML with what their kinds demand, and agree with each other and
# with docs/kubernetes.md; so do the page's other blocks.
set -euo pipefail
exec /usr/bin/python3 - "$(cd "$(dirname "$0")/../../docs" && pwd)" <<'END'
import json
import re
import subprocess
import sys
import tomllib

import yaml

docs = sys.argv[1]
examples = docs + "/examples/kubernetes/"
page = open(docs + "/kubernetes.md").read()


def load(name):
    documents = list(yaml.safe_load_all(open(examples + name)))
    assert len(documents) == 1, name
    return documents[0]


def demands(document, api, kind):
    assert (document["apiVersion"], document["kind"]) == (api, kind), kind
    name = document["metadata"]["name"]
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", name), name
    return document


def pods_of(document):
    """The pod template of a workload, whose selector has to select it."""
    template = document["spec"]["template"]
    labels = template["metadata"]["labels"]
    wanted = document["spec"]["selector"]["matchLabels"]
    assert wanted and wanted.items() <= labels.items(), "the selector does not select the template's pods"
    spec = template["spec"]
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    names = set()
    for container in spec.get("initContainers", []) + spec["containers"]:
        assert container["name"] not in names and container["image"]
        names.add(container["name"])
        for mount in container.get("volumeMounts", []):
            assert mount["name"] in volumes and mount["mountPath"].startswith("/"), mount
        if container.get("command", [""])[0] == "/bin/sh":
            subprocess.run(["/bin/sh", "-n", "-c", container["command"][-1]], check=True)
    for volume in spec.get("volumes", []):
        assert len(volume) == 2, volume
    return labels, spec


runtime_class = demands(load("runtime-class.yaml"), "node.k8s.io/v1", "RuntimeClass")
deployment = demands(load("deployment.yaml"), "apps/v1", "Deployment")
daemon_set = demands(load("daemon-set.yaml"), "apps/v1", "DaemonSet")

labels, web = pods_of(deployment)
_, node = pods_of(daemon_set)
assert web["runtimeClassName"] == runtime_class["metadata"]["name"]
assert runtime_class["scheduling"]["nodeSelector"].items() <= node["nodeSelector"].items()
assert node["hostPID"] and all(c["securityContext"]["privileged"]
                               for c in node["initContainers"] + node["containers"])

# What the page's grant says is what the Deployment's pods are.
grant = re.search(r"coffer grant [^`]*", page).group()
conditions = dict(text.split("=", 1) for text in re.findall(r"--label (\S+)", grant))
assert conditions.pop("io.kubernetes.pod.namespace") == deployment["metadata"]["namespace"]
assert conditions.pop("io.kubernetes.container.name") in [c["name"] for c in web["containers"]]
assert conditions and conditions.items() <= labels.items()

# Each engine's configuration names the handler and the wrapper.
blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.M | re.S)
handlers = []
for language, text in blocks:
    if language == "toml":
        value = tomllib.loads(text)
        plugins = value.get("plugins", {})
        tables = [plugin["containerd"]["runtimes"] for plugin in plugins.values()]
        tables += [value["crio"]["runtime"]["runtimes"]] if "crio" in value else []
        assert tables, text
        for runtimes in tables:
            handlers += runtimes
            assert "/usr/bin/coffer-runc" in json.dumps(runtimes)
    elif language == "yaml":
        assert yaml.safe_load(text)["spec"]["runtimeClassName"] == web["runtimeClassName"]
    elif language == "json":
        assert all("label" in entry for entry in json.loads(text))
    elif language == "sh":
        subprocess.run(["/bin/sh", "-n", "-c", text], check=True)
assert handlers == 3 * [runtime_class["handler"]], handlers
for name in ("runtime-class.yaml", "deployment.yaml", "daemon-set.yaml"):
    assert name in page, name
print("3 manifests,", len(blocks), "blocks")
END
