"""The files of conf/deploy/ fit each other, the code and the programs that read them."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hydra
import pytest
import yaml
from prometheus_client import CollectorRegistry, ProcessCollector
from ray.serve.schema import ServeDeploySchema

import conf
from serving import haproxy
from serving.app import build
from serving.arguments import ServeArgs
from serving.proxy_errors import ANSWERS
from serving.watching.meter import Meter

DEPLOY = Path(conf.__file__).parent / "deploy"
ROOT = DEPLOY.parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
STORE = {"_target_": "serving.store.redis.RedisStore", "url": "redis://redis:6379/0"}
SETTINGS = haproxy.settings(Path("/opt/h"))
"""What Ray Serve's HAProxy needs in the image, where the folder is /opt/h."""


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


def rayservice() -> dict[str, Any]:
    [service, _] = yaml.safe_load_all((DEPLOY / "rayservice.yaml").read_text())
    assert isinstance(service, dict)
    return service


CONFIGS = {
    "serve.yaml": lambda: read("serve.yaml"),
    "rayservice.yaml": lambda: yaml.safe_load(rayservice()["spec"]["serveConfigV2"]),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_ray_serve_reads_the_configuration_and_the_application_takes_its_arguments(name: str) -> None:
    written = CONFIGS[name]()
    known = ServeDeploySchema.model_validate(written)
    assert set(written) <= set(ServeDeploySchema.model_fields)
    [application] = known.applications
    assert application.import_path == f"{build.__module__}:{build.__name__}"
    args = ServeArgs.model_validate(application.args)
    assert args.store == STORE
    assert args.metrics_port == 9464
    assert not args.loopback
    assert build(args) is not None


def test_kuberay_deploys_what_serve_deploy_does() -> None:
    assert CONFIGS["rayservice.yaml"]() == CONFIGS["serve.yaml"]()


def pods() -> Iterator[dict[str, Any]]:
    """Pod templates of head and workers."""
    cluster = rayservice()["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        yield group["template"]


def test_the_manifest_has_what_the_custom_resource_requires() -> None:
    service = rayservice()
    assert (service["apiVersion"], service["kind"]) == ("ray.io/v1", "RayService")
    cluster = service["spec"]["rayClusterConfig"]
    assert cluster["rayVersion"] == version("ray")
    assert cluster["authOptions"] == {"mode": "token"}
    assert all(isinstance(value, str) for value in cluster["headGroupSpec"]["rayStartParams"].values())
    for group in cluster["workerGroupSpecs"]:
        assert {"groupName", "minReplicas", "maxReplicas", "template"} <= set(group)
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_every_pod_runs_haproxy_behind_the_guard_as_an_ordinary_user_on_the_pinned_image() -> None:
    for pod in pods():
        [container] = pod["spec"]["containers"]
        environment = {one["name"]: one["value"] for one in container["env"]}
        assert SETTINGS.items() <= environment.items()
        assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
        assert container["image"] == f"attune:{VERSION}"
        assert pod["spec"]["securityContext"]["runAsUser"] == 10001
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_only_the_api_is_open_to_everybody_in_the_cluster() -> None:
    [_, policy] = yaml.safe_load_all((DEPLOY / "rayservice.yaml").read_text())
    assert policy["kind"] == "NetworkPolicy"
    selected = policy["spec"]["podSelector"]["matchLabels"].items()
    assert all(selected <= pod["metadata"]["labels"].items() for pod in pods())
    to_all = [rule["ports"] for rule in policy["spec"]["ingress"] if "from" not in rule]
    assert to_all == [[{"protocol": "TCP", "port": 8000}]]


def services() -> dict[str, dict[str, Any]]:
    found = read("compose.yaml")["services"]
    assert isinstance(found, dict)
    return found


def test_the_composition_has_everything_and_waits_until_it_is_healthy() -> None:
    found = services()
    assert set(found) == {"attune", "train", "redis", "mlflow", "prometheus", "grafana"}
    lasting = {name for name, one in found.items() if "profiles" not in one}
    assert all("healthcheck" in found[name] for name in lasting)
    for one in found.values():
        for name, wait in one.get("depends_on", {}).items():
            assert wait == {"condition": "service_healthy"}
            assert "healthcheck" in found[name]


def test_the_composition_is_reached_from_its_own_machine_only_and_holds_no_secret() -> None:
    for one in services().values():
        assert all(port.startswith("127.0.0.1:") for port in one.get("ports", ()))
        assert one["cap_drop"] == ["ALL"]
        for name, value in one.get("environment", {}).items():
            assert "PASSWORD" not in name or value.startswith("${")
    assert "ports" not in services()["redis"]


def test_images_of_the_composition_are_pinned() -> None:
    for one in services().values():
        _, _, tag = one["image"].partition(":")
        assert re.match(r"v?\d+\.\d+\.\d+", tag), one["image"]


def test_every_volume_and_file_of_the_composition_exists() -> None:
    named = set(read("compose.yaml")["volumes"])
    for one in services().values():
        for volume in one.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in named if not source.startswith(".") else (DEPLOY / source).is_file()
    build_of = services()["attune"]["build"]
    assert (DEPLOY / build_of["context"]).resolve() == ROOT
    assert (ROOT / build_of["dockerfile"]).is_file()


def test_redis_loses_no_acknowledged_event() -> None:
    command = services()["redis"]["command"]
    settings = dict(zip(command[1::2], command[2::2], strict=True))
    assert settings == {"--appendonly": "yes", "--appendfsync": "always", "--maxmemory-policy": "noeviction"}


@pytest.mark.parametrize(("service", "main"), [("attune", "serve"), ("train", "train")])
def test_commands_of_the_composition_compose(service: str, main: str) -> None:
    program, *overrides = services()[service]["command"]
    assert program == f"recsys-{main}"
    missing = {override for override in overrides if not can_be_chosen(override)}
    assert missing <= {"store=redis", "security=keys"}
    with hydra.initialize_config_module("conf", version_base="1.3"):
        config = hydra.compose(main, [override for override in overrides if override not in missing])
    assert config.outputs == "/srv/attune"


def can_be_chosen(override: str) -> bool:
    """False for a choice of a group that is not there."""
    key, _, choice = override.partition("=")
    return "." in key or key == "outputs" or (DEPLOY.parent / key / f"{choice}.yaml").is_file()


def test_prometheus_asks_the_port_that_the_service_opens() -> None:
    command = services()["attune"]["command"]
    assert {"app.metrics_host=0.0.0.0", "app.metrics_port=9464"} <= set(command)
    jobs = {job["job_name"]: job for job in read("prometheus.yaml")["scrape_configs"]}
    assert jobs["attune"]["static_configs"] == [{"targets": ["attune:9464"]}]
    assert jobs["attune"].get("metrics_path", "/metrics") == "/metrics"
    assert read("grafana/datasources.yaml")["datasources"][0]["url"] == "http://prometheus:9090"
    mounted = [volume.split(":")[1] for volume in services()["grafana"]["volumes"]]
    folder = read("grafana/dashboards.yaml")["providers"][0]["options"]["path"]
    assert f"{folder}/attune.json" in mounted


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", (DEPLOY / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_is_pinned_copies_what_exists_and_runs_as_an_ordinary_user() -> None:
    written = instructions()
    [base] = [rest for name, rest in written if name == "FROM"]
    assert re.fullmatch(r"python:3\.1[123]\.\d+-slim-\w+", base)
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    for source in (word for name, rest in written if name == "COPY" for word in shlex.split(rest)[:-1]):
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored
    users = [rest for name, rest in written if name == "USER"]
    assert users == ["10001"]
    installs = [rest for name, rest in written if name == "RUN" and "pip install" in rest]
    assert installs
    assert all("--constraint constraints.txt" in rest for rest in installs)


def test_the_image_holds_the_wheel_s_sources_and_the_guard_where_the_manifest_looks_for_it() -> None:
    copied = {word for name, rest in instructions() if name == "COPY" for word in shlex.split(rest)[:-1]}
    assert {"recsys", "training", "serving", "conf", "pyproject.toml", "constraints.txt"} <= copied
    runs = " ".join(rest for name, rest in instructions() if name == "RUN")
    assert "serving.haproxy /opt/h" in runs
    assert SETTINGS["RAY_SERVE_HAPROXY_BINARY_PATH"] == "/opt/h/haproxy"


def test_the_folder_for_haproxy_is_made_ready(tmp_path: Path) -> None:
    haproxy.install(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"haproxy", *(f"{status}.http" for status in ANSWERS)}
    script = (tmp_path / "haproxy").read_text()
    assert "haproxy_guard.py" in script
    assert script.endswith(f' {tmp_path} - - "$@"\n')
    head, body = (tmp_path / "503.http").read_bytes().split(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body)["status"] == 503


FUNCTIONS = {"histogram_quantile", "sum", "rate", "max", "min", "count", "time", "by"}


def dashboard() -> dict[str, Any]:
    found = json.loads((DEPLOY / "grafana" / "attune.json").read_text())
    assert isinstance(found, dict)
    return found


def expressions() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]


def names_in(expression: str) -> tuple[set[str], set[str]]:
    """The metrics of an expression and the labels that it groups or selects by."""
    groups = re.findall(r"\bby \(([^)]*)\)", expression)
    selectors = re.findall(r"\{([^}]*)\}", expression)
    labels = {label.strip() for group in groups for label in group.split(",")}
    labels |= {label for selector in selectors for label in re.findall(r"(\w+)\s*[=!]", selector)}
    bare = re.sub(r"\bby \([^)]*\)|\{[^}]*\}|\[[^\]]*\]", " ", expression)
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare)) - FUNCTIONS, labels


def exported() -> dict[str, set[str]]:
    """Every series that a scrape may show and its labels."""
    meter = Meter()
    meter.released("1", items=1, data_end_s=0.0)
    meter.follow(items_revision=lambda: 0, refused=lambda: False)
    meter.begins()
    meter.ends("POST", "/v1/events", 200, 0.001)
    meter.store_failed("history")
    meter.rung_failed("full")
    found: dict[str, set[str]] = {"attune_replicas": set()}
    for family in meter.registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels, {"replica"})
    return found


def test_the_reading_of_expressions_finds_metrics_and_labels() -> None:
    metrics, labels = names_in('sum by (le, stage) (rate(a_bucket{x="y"}[5m])) / max(b_total)')
    assert (metrics, labels) == ({"a_bucket", "b_total"}, {"le", "stage", "x"})


@pytest.mark.parametrize("expression", expressions())
def test_a_panel_asks_for_what_is_exported_by_labels_that_it_has(expression: str) -> None:
    metrics, labels = names_in(expression)
    known = exported()
    assert metrics
    assert metrics <= set(known)
    for metric in metrics:
        assert labels <= known[metric]


def test_every_metric_of_ours_is_on_a_panel() -> None:
    shown = " ".join(expressions())
    families = [family.name for family in Meter().registry.collect()]
    processes = CollectorRegistry()
    ProcessCollector(registry=processes)
    standard = {family.name for family in processes.collect()}
    assert [name for name in families if name not in standard and name not in shown] == []


def test_panels_do_not_overlap_and_have_titles_of_their_own() -> None:
    panels = dashboard()["panels"]
    cells = [
        (panel["gridPos"]["x"] + right, panel["gridPos"]["y"] + down)
        for panel in panels
        for right in range(panel["gridPos"]["w"])
        for down in range(panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    titles = [panel["title"] for panel in panels]
    assert len(titles) == len(set(titles))
    assert len({panel["id"] for panel in panels}) == len(panels)
