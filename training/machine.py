"""What a run is computed on: cores, memory, the build of torch. Nothing that names the machine or its owner."""

import os
import platform
from pathlib import Path

import torch

_GIB = 2**30
_CPU_INFO = Path("/proc/cpuinfo")


def machine_facts() -> dict[str, str]:
    """By name, as people read them; what cannot be found out is left out."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(usable or ""),
        "memory_gib": _memory_gib(),
        "torch_build": f"{torch.__version__} ({_build()})",
        "torch_threads": str(torch.get_num_threads()),
        "gpu": ", ".join(_gpu(number) for number in range(torch.cuda.device_count())),
    }
    return {name: value for name, value in found.items() if value}


def _processor() -> str:
    """The model as Linux names it, else what Python knows."""
    if _CPU_INFO.is_file():
        for line in _CPU_INFO.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor()


def _memory_gib() -> str:
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return ""
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / _GIB:.1f}"


def _build() -> str:
    """CUDA's version, or which instructions the CPU build takes."""
    if torch.version.cuda:
        return f"CUDA {torch.version.cuda}"
    return f"CPU, {torch.backends.cpu.get_cpu_capability()}"


def _gpu(number: int) -> str:
    properties = torch.cuda.get_device_properties(number)
    return f"{properties.name}, {properties.total_memory / _GIB:.0f} GiB"
