"""A Ray cluster of two nodes on this machine, with a replica on each, until its input ends.

    python -m tests.serving.two_nodes BUNDLE FOLDER PORT     (the Redis in ATTUNE_REDIS_URL)

It prints `ready PIDS` once both answer; PIDS are those of the second node, which somebody may kill. After a line on its
input it starts another node and prints `joined`.
"""

import os
import sys
from pathlib import Path

from serving import haproxy, processes
from serving.arguments import ServeArgs


def main() -> None:
    """Start, report, obey."""
    bundle, folder, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    haproxy.install(folder)
    mine = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(processes.free_port())}
    os.environ.update(haproxy.settings(folder) | mine)  # before Ray is imported

    import ray
    from ray import serve
    from ray.cluster_utils import Cluster

    from serving.app import build

    store = {"_target_": "serving.store.redis.RedisStore", "url": os.environ["ATTUNE_REDIS_URL"]}
    security = {"_target_": "serving.security.loopback.Loopback"}
    args = ServeArgs(bundle=bundle, store=store, replicas=2, replicas_per_node=1, security=security, private=True)
    head = {"num_cpus": 2, "temp_dir": str(folder / "ray"), "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head, shutdown_at_exit=True)
    try:
        before = {one.pid for one in processes.descendants(os.getpid())}
        cluster.add_node(num_cpus=2)
        ray.init(address=cluster.address, log_to_driver=False, namespace="attune")
        serve.start(http_options={"host": "127.0.0.1", "port": port}, proxy_location="HeadOnly")
        serve.run(build(args), name="attune")
        [raylet] = [one for one in processes.descendants(os.getpid()) if one.name == "raylet" and one.pid not in before]
        second = [raylet.pid, *(one.pid for one in processes.descendants(raylet.pid))]
        print("ready", *second, flush=True)
        for _ in sys.stdin:
            cluster.add_node(num_cpus=2)
            print("joined", flush=True)
    finally:
        serve.shutdown()
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
