"""Lets PyTorch's wheel for CUDA run on a machine without it.

The wheel names CUDA's libraries, which are ten times its size. For each that is not there a library of the same name is made
whose functions all answer "no device"; PyTorch then works on the CPU. Needs cc, nm and readelf.
"""

import collections
import pathlib
import re
import subprocess
import sysconfig

NO_DEVICE = 100
CUDA = re.compile(r"lib(cu|nccl|nv)")
packages = pathlib.Path(sysconfig.get_paths()["purelib"])
folder = packages / "torch" / "lib"


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


libraries = sorted(folder.glob("*.so*")) + sorted((packages / "torch").glob("_C*.so"))
shipped = {library.name for library in libraries}
needed, defined, wanted = set(), set(), collections.defaultdict(set)
for library in libraries:
    needed.update(re.findall(r"\(NEEDED\).*\[(.*)\]", said("readelf", "-dW", library)))
    for line in said("nm", "-D", library).splitlines():
        kind, symbol = line.split()[-2:]
        name, _, version = symbol.partition("@")
        if kind in "Uw":
            wanted[version.lstrip("@")].add(name)
        else:
            defined.add(name)
missing = sorted(name for name in needed if name not in shipped and CUDA.match(name))


def body(name):
    if re.search("GetErrorString|GetErrorName", name):
        return f'const char *{name}(void) {{ return "no device"; }}'
    if name.startswith("__cudaRegisterFatBinary") and not name.endswith("End"):
        return f"void **{name}(void) {{ static void *slots[4]; return slots; }}"
    if name.startswith("__cudaInit"):
        return f"char {name}(void) {{ return 1; }}"
    return f"int {name}(void) {{ return {NO_DEVICE}; }}"


# What belongs to no version can be in any of them.
loose = re.compile(r"cu[A-Za-z]|__cuda|p?nccl|nvrtc|nvshmem|nvJitLink|nvml")
unversioned = {name for name in wanted[""] - defined if loose.match(name)}
for number, library in enumerate(missing):
    versions = [version for version in wanted if version == library]
    if library.startswith("libnvshmem"):
        versions += [version for version in wanted if version == "NVSHMEM"]
    versioned = {version: wanted[version] - defined for version in versions}
    names = set().union(*versioned.values()) if versioned else set()
    if number == 0:
        names |= unversioned
    source, script = folder / (library + ".c"), folder / (library + ".map")
    source.write_text("\n".join(map(body, sorted(names))) + "\n")
    how = []
    if versioned:
        lines = [f"{version} {{ global: {' '.join(f'{name};' for name in sorted(of))} }};" for version, of in versioned.items()]
        script.write_text("\n".join(lines) + "\n")
        how = [f"-Wl,--version-script={script}"]
    said("cc", "-shared", "-fPIC", "-w", "-o", folder / library, source, f"-Wl,-soname,{library}", *how)
    source.unlink()
    script.unlink(missing_ok=True)

# Whoever requires PyTorch is not to fetch the libraries after all.
facts = next(packages.glob("torch-*.dist-info")) / "METADATA"
kept = [line for line in facts.read_text().splitlines(True) if not re.match("Requires-Dist: (nvidia|cuda|triton)", line)]
facts.write_text("".join(kept))
