"""Ray Serve's port for calls between deployments, kept off the network.

Ray Serve 2.60 binds it to all interfaces, asks nobody who they are and unpickles what it is sent. On a single machine
nobody else has any business there, but it cannot be turned off.
"""


def keep_private() -> None:
    """Bind the port of this process's replica to loopback; call it while the replica is constructed."""
    from ray.serve._private import replica

    original = getattr(replica, "add_port_to_grpc_server", None)
    if original is None:
        raise RuntimeError(
            "this version of Ray keeps Ray Serve's internal port where it cannot be bound to loopback; "
            "install a version of Ray that constraints.txt names"
        )

    def private(server: object, address: str) -> object:
        return original(server, address.replace("[::]", "127.0.0.1"))

    replica.add_port_to_grpc_server = private  # type: ignore[attr-defined]
