"""Files that nobody means well with, made when they are needed: each function writes one to the path it is given.

Tables by kind: {name: function}. What reads them is in `test_attack`.
"""

import json
import os
import pickle
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import rgbd
import scipy.io
import scipy.sparse
import torch
from ibims_files import fields
from PIL import Image
from safetensors.torch import save_file

from zdlib.data import classes
from zdlib.models.checkpoints import content_hash
from zdlib.models.factory import build_model
from zdlib.models.zoe.architecture import Architecture
from zdlib.models.zoe.official_keys import to_official

Write = Callable[[Path], object]
SIDE = 64
TINY = Architecture(encoder="beit_test_patch16_64", input_size=(SIDE, SIDE), bin_embedding_dim=16)
NARROW = TINY.model_copy(update={"decoder_channels": 16})


# ------------------------------------------------------------------------------------------- of any kind
def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


NOT_REGULAR: dict[str, Write] = {
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a device": _device,
    "a link to itself": _loop,
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
}


def wrote(content: bytes) -> Write:
    return lambda path: path.write_bytes(content)


def broken(make: Write) -> dict[str, Write]:
    """Truncated copies of a good file, and other content under its name."""

    def cut(share: float) -> Write:
        def write(path: Path) -> None:
            make(path)
            content = path.read_bytes()
            path.write_bytes(content[: int(len(content) * share)])

        return write

    return {
        "empty": wrote(b""),
        "a text": wrote(b"404 not found\n"),
        "zeros": wrote(bytes(5000)),
        "ones": wrote(b"\xff" * 5000),
        **{f"cut at {share:.0%}": cut(share) for share in (0.02, 0.4, 0.9)},
    }


def flipped(make: Write, bits: int, seed: int) -> Write:
    """A good file with some bits turned."""

    def write(path: Path) -> None:
        make(path)
        content, rng = bytearray(path.read_bytes()), random.Random(seed)
        for _ in range(bits):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)

    return write


# ----------------------------------------------------------------------------------------------- pictures
def picture(path: Path, size: tuple[int, int] = (48, 32)) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, "PNG")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*chunks: bytes, size: tuple[int, int] = (8, 8), kind: int = 2) -> bytes:
    header = chunk(b"IHDR", struct.pack(">2I5B", *size, 8, kind, 0, 0, 0))
    rows = zlib.compress((b"\0" + bytes(3 * 8)) * 8)
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _as(kind: str) -> Write:
    return lambda path: Image.new("RGB", (40, 30), (5, 80, 200)).save(path, kind)


_BOMB = zlib.compress(bytes(80_000_000))
_EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\n%%EndComments\n(touched) (w) file closefile\nshowpage\n"
PICTURES: dict[str, Write] = {
    **broken(picture),
    "declares 3.6 Gpx": wrote(png(size=(60_000, 60_000))),
    "declares 2^31 px a side": wrote(png(size=(2**31 - 1, 2**31 - 1))),
    "declares no pixel": wrote(png(size=(0, 0))),
    "declares 120 Mpx": wrote(png(size=(12_000, 10_000))),
    "a text chunk that unpacks to 80 MB": wrote(png(chunk(b"zTXt", b"k\0\0" + _BOMB))),
    "an international text chunk that unpacks to 80 MB": wrote(png(chunk(b"iTXt", b"k\0\1\0\0\0" + _BOMB))),
    "a colour profile that unpacks to 80 MB": wrote(png(chunk(b"iCCP", b"k\0\0" + _BOMB))),
    "a colour type that there is not": wrote(png(kind=5)),
    "PostScript": wrote(_EPS),
    "PostScript behind a preview": wrote(b"\xc5\xd0\xd3\xc6" + struct.pack("<6I", 32, len(_EPS), 0, 0, 0, 0) + _EPS),
    **{f"of kind {kind}": _as(kind) for kind in ("GIF", "BMP", "TIFF", "PPM", "ICO", "TGA", "PCX", "SGI", "PDF")},
    "SVG": wrote(b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
    "a picture of text": wrote(b"#define x_width 8\n#define x_height 8\nstatic char x_bits[] = {0};\n"),
}
# Sound, but too small to be surrounded by their reflection, or of a shape that no network sees.
SHAPES = {f"{w}×{h}": (w, h) for w, h in ((1, 1), (2, 2), (3, 2), (3, 3), (1, 50), (50, 1), (2, 50), (3, 50))}


def depth_png(path: Path) -> None:
    units = np.random.default_rng(0).integers(1_000, 3_000, (24, 32), dtype=np.uint16)
    Image.fromarray(units).save(path, "PNG")


DEPTHS: dict[str, Write] = {
    **broken(depth_png),
    "8 bit": lambda path: Image.new("L", (32, 24), 9).save(path, "PNG"),
    "colour": lambda path: Image.new("RGB", (32, 24)).save(path, "PNG"),
    "black and white": lambda path: Image.new("1", (32, 24)).save(path, "PNG"),
    "of another size": lambda path: Image.fromarray(np.full((2, 3), 9, np.uint16)).save(path, "PNG"),
    "without depth": lambda path: Image.fromarray(np.zeros((24, 32), np.uint16)).save(path, "PNG"),
    "declares 3.6 Gpx": PICTURES["declares 3.6 Gpx"],
    "PostScript": PICTURES["PostScript"],
}


# ------------------------------------------------------------------------------------------------- arrays
def npy(shape: object, dtype: str = "'<f4'", content: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + content


def _array(array: np.ndarray) -> Write:
    def write(path: Path) -> None:
        with open(path, "wb") as file:
            np.save(file, array)

    return write


def good_array(path: Path) -> None:
    _array(np.full((24, 32), 1.5, np.float32))(path)


class Evil:
    """Code in a pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("never-to-exist",)


ARRAYS: dict[str, Write] = {
    **broken(good_array),
    "a zip": lambda path: npz({"x.npy": npy((2, 2), content=bytes(16))})(path),
    "declares 3.2 GB": wrote(npy((20_000, 20_000), "'<f8'")),
    "declares 10^18 numbers": wrote(npy((10**9, 10**9))),
    "declares a negative side": wrote(npy((-24, 32), content=bytes(3072))),
    "declares sides that are true": wrote(npy("(True, True)", content=bytes(3072))),
    "declares code": wrote(npy("__import__('os').mkdir('never-to-exist')")),
    "declares 5000 digits": wrote(npy(f"(1{'0' * 5000}, 1)")),
    "nested brackets": wrote(npy("(" * 3000 + ")" * 3000)),
    "objects": _array(np.array([[Evil()]], object)),
    "a table": _array(np.zeros((24, 32), [("a", "<f4"), ("b", "<i4")])),
    "a table of version 3": wrote(npy((24, 32), "[('é', '<f4')]", bytes(3072), (3, 0))),
    "version 9": wrote(npy((24, 32), content=bytes(3072), version=(9, 0))),
    "texts": _array(np.full((24, 32), "far")),
    "dates": _array(np.full((24, 32), "2001-01-01", "datetime64[D]")),
    "complex": _array(np.full((24, 32), 1j, np.complex64)),
    "truth values": _array(np.ones((24, 32), bool)),
    "NaN": _array(np.full((24, 32), np.nan, np.float32)),
    "infinite": _array(np.full((24, 32), np.inf, np.float32)),
    "infinite in float32": _array(np.full((24, 32), 1e300)),
    "no pixel": _array(np.zeros((0, 0), np.float32)),
    "no row": _array(np.zeros((0, 32), np.float32)),
    "one number": _array(np.float32(1)),
    "one axis": _array(np.ones(768, np.float32)),
    "four axes": _array(np.ones((2, 2, 24, 32), np.float32)),
    "of another size": _array(np.ones((3, 5), np.float32)),
    "height and width exchanged": _array(np.ones((32, 24), np.float32)),
}


def npz(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Write:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return write


def good_archive(path: Path) -> None:
    npz({"depth.npy": npy((24, 32), content=np.full((24, 32), 1.5, np.float32).tobytes())})(path)


def _saved(array: np.ndarray) -> Write:
    def write(path: Path) -> None:
        with open(path, "wb") as file:
            np.savez(file, depth=array)

    return write


def _locked(path: Path) -> None:
    """Says of its member that it is encrypted."""
    good_archive(path)
    content = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + place] |= 1
    path.write_bytes(content)


def _twice(path: Path) -> None:
    member = npy((24, 32), content=bytes(3072))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("depth.npy", member)
    content = path.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("depth.npy", member)
        archive.writestr("depti.npy", member)
    content = path.read_bytes().replace(b"depti.npy", b"depth.npy")
    path.write_bytes(content)


ARCHIVES: dict[str, Write] = {
    **broken(good_archive),
    "a member that is no array": npz({"depth.npy": npy((1, 1), content=bytes(4)), "notes.txt": b"hello"}),
    "a member of no kind": npz({"depth": b"hello"}),
    "a member that does not begin as one": npz({"depth.npy": b"hello"}),
    "no member": npz({}),
    "declares 3.2 GB": npz({"depth.npy": npy((20_000, 20_000), "'<f8'")}),
    "unpacks to 3 GB": lambda path: _zeros(path, 3_000_000_000),
    "less than it declares": npz({"depth.npy": npy((24, 32), content=bytes(100))}),
    "encrypted": _locked,
    "two of a name": _twice,
    "names that lead out": npz({"../../x.npy": npy((24, 32), content=bytes(3072)), "y.npy": npy((1, 1))}),
    "several, none called depth": npz({f"{i}.npy": npy((1, 1), content=bytes(4)) for i in range(3)}),
    "objects": _saved(np.array([Evil()], object)),
    "a complex array": _saved(np.full((24, 32), 1j)),
    "NaN": _saved(np.full((24, 32), np.nan)),
}


def _zeros(path: Path, size: int) -> None:
    """A small archive whose member unpacks to that many bytes: one megabyte of zeros, deflated again and again."""
    packing = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packing.compress(npy((size // 4,))) + packing.flush(zlib.Z_FULL_FLUSH)
    block = zlib.compressobj(9, zlib.DEFLATED, -15)
    part = block.compress(bytes(10_000_000)) + block.flush(zlib.Z_FULL_FLUSH)
    packed = start + part * (size // 10_000_000) + b"\x03\x00"
    name = b"depth.npy"
    sizes = struct.pack("<3I", 0, len(packed), size)
    local = b"PK\x03\x04" + struct.pack("<5H", 20, 0, 8, 0, 0) + sizes + struct.pack("<2H", len(name), 0) + name
    central = b"PK\x01\x02" + struct.pack("<6H", 20, 20, 0, 8, 0, 0) + sizes
    central += struct.pack("<5H2I", len(name), 0, 0, 0, 0, 0, 0) + name
    end = b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 1, 1, len(central), len(local) + len(packed), 0)
    path.write_bytes(local + packed + central + end)


# ------------------------------------------------------------------------------------------- checkpoints
_MODELS: dict[str, Any] = {}


def model_of(config: Architecture) -> Any:
    key = config.model_dump_json()
    if key not in _MODELS:
        torch.manual_seed(0)
        _MODELS[key] = build_model(config)
    return _MODELS[key]


def ours(change: Callable[[dict[str, Any], dict[str, torch.Tensor]], object] = lambda d, t: None) -> Write:
    """A checkpoint of this project, signed after `change(description, tensors)`: nothing in it is damaged."""

    def write(path: Path) -> None:
        model = model_of(NARROW)
        tensors = {key: value.detach().clone() for key, value in model.state_dict().items()}
        config = NARROW.model_dump(mode="json") | {"encoder_weights": "none"}
        description = {"format": "zdlib-1", "config": config, "info": {}}
        change(description, tensors)
        description["sha256"] = content_hash(tensors, description)
        save_file(tensors, path, {"zdlib": json.dumps(description, sort_keys=True)})

    return write


def official(change: Callable[[dict[Any, Any]], object] = lambda tensors: None) -> Write:
    """An official `.pt` after `change(tensors)`."""

    def write(path: Path) -> None:
        tensors = dict(to_official(model_of(TINY)))
        change(tensors)
        torch.save({"model": tensors}, path)

    return write


def _set(**values: Any) -> Write:
    return ours(lambda description, tensors: description["config"].update(values))


def _info(value: Any) -> Write:
    return ours(lambda description, tensors: description.update(info=value))


def _first(value: Callable[[torch.Tensor], torch.Tensor], key: str = "head.conv.bias") -> Write:
    return ours(lambda description, tensors: tensors.update({key: value(tensors[key])}))


def _metadata(text: str) -> Write:
    return lambda path: save_file({"x": torch.zeros(1)}, path, {"zdlib": text})


def _header(length: int, content: bytes = b"{}") -> Write:
    return wrote(struct.pack("<Q", length) + content)


_ONE = json.dumps({"x": {"dtype": "F32", "shape": [10**9, 10**3], "data_offsets": [0, 4]}}).encode()
SAFETENSORS: dict[str, Write] = {
    **broken(ours()),
    "a header of 2^60 bytes": _header(2**60),
    "a header that is no JSON": _header(4, b"{{{{"),
    "a tensor larger than the file": _header(len(_ONE), _ONE + bytes(4)),
    "nothing of ours": lambda path: save_file({"x": torch.zeros(1)}, path),
    "metadata in deep brackets": _metadata("[" * 100_000),
    "metadata with 5000 digits": _metadata('{"config": 1' + "0" * 5000 + "}"),
    "metadata that is a text": _metadata('"config"'),
    "metadata that is null": _metadata("null"),
    "info is a list": _info([1]),
    "info is a text": _info("hello"),
    "info is null": _info(None),
    "a recipe that is a list": _info({"recipe": ["corrected"]}),
    "a recipe that is a mapping": _info({"recipe": {}}),
    "an unknown recipe": _info({"recipe": "secret"}),
    "a convention that is a list": _info({"convention": [1]}),
    "a unit of zero": _info({"convention": {"metres_per_unit": 0}}),
    "a unit that is not finite": _info({"convention": {"metres_per_unit": float("inf")}}),
    "a unit below zero": _info({"convention": {"metres_per_unit": -1.0}}),
    "an input of 1 pixel": _set(input_size=[1, 1]),
    "an input of 10^9 pixels a side": _set(input_size=[10**9, 10**9]),
    "a huge network": _set(decoder_channels=16_000, bin_embedding_dim=16_000),
    "an impossible network": _set(decoder_channels=10**9),
    "bins without number": _set(n_bins=10**12),
    "no segmentation channels": _set(segmentation_channels=[]),
    "attractors at three levels": _set(n_attractors=[1, 2, 3]),
    "an encoder from the net": _set(encoder="hf-hub:somebody/something"),
    "an encoder from a folder": _set(encoder="local-dir:/etc"),
    "an encoder that there is not": _set(encoder="vit_of_the_moon"),
    "a larger encoder": _set(encoder="beit_large_patch16_512"),
    "an unknown setting": _set(moon=1),
    "a NaN": _first(lambda t: torch.full_like(t, float("nan"))),
    "an infinity": _first(lambda t: torch.full_like(t, float("inf"))),
    "float64": _first(lambda t: t.double()),
    "int32": _first(lambda t: t.int()),
    "truth values": _first(lambda t: t.bool()),
    "complex": _first(lambda t: t.to(torch.complex64)),
    "a key less": ours(lambda d, t: t.pop("head.conv.bias")),
    "a key more": ours(lambda d, t: t.update(mystery=torch.zeros(1))),
    "another shape": _first(lambda t: torch.zeros(3)),
}


def _strange(value: Callable[[torch.Tensor], Any]) -> Write:
    return official(lambda tensors: tensors.update({"conv2.bias": value(tensors["conv2.bias"])}))


PICKLES: dict[str, Write] = {
    **broken(official()),
    "code": lambda path: torch.save({"model": Evil()}, path),
    "code without zip": wrote(pickle.dumps({"model": Evil()})),
    "a list": lambda path: torch.save([torch.zeros(1)], path),
    "a tensor": lambda path: torch.save(torch.zeros(1), path),
    "nothing": lambda path: torch.save({}, path),
    "numbers for keys": lambda path: torch.save({1: torch.zeros(1)}, path),
    "tuples for keys": lambda path: torch.save({("a", 1): torch.zeros(1)}, path),
    "a number among them": official(lambda tensors: tensors.update({7: torch.zeros(1)})),
    "a text among them": official(lambda tensors: tensors.update({"note": "hello"})),
    "a mapping among them": official(lambda tensors: tensors.update({"more": {}})),
    "a compressed zip": npz({"archive/data.pkl": bytes(10**7)}),
    "a zip of something else": npz({"hello.txt": b"hello"}, zipfile.ZIP_STORED),
    "an expanded tensor of 10^12": _strange(lambda t: torch.zeros(1).expand(10**12)),
    "a NaN": _strange(lambda t: torch.full_like(t, float("nan"))),
    "an infinity": _strange(lambda t: torch.full_like(t, -float("inf"))),
    "int64": _strange(lambda t: t.long()),
    "float64": _strange(lambda t: t.double()),
    "complex": _strange(lambda t: t.to(torch.complex64)),
    "sparse": _strange(lambda t: t.to_sparse()),
    "another shape": _strange(lambda t: t[:2]),
    "a key less": official(lambda tensors: tensors.pop("conv2.bias")),
}


# ------------------------------------------------------------------------------------------------ MATLAB
def nyu(path: Path) -> None:
    rgbd.write_nyu_mat(path, [rgbd.scene(seed=i) for i in range(2)], classes.raw_names())


def changed_nyu(change: Callable[[h5py.File], object]) -> Write:
    def write(path: Path) -> None:
        nyu(path)
        with h5py.File(path, "r+") as file:
            change(file)

    return write


def _instead(key: str, make: Callable[[h5py.File, str], object]) -> Write:
    def change(file: h5py.File) -> None:
        del file[key]
        make(file, key)

    return changed_nyu(change)


def _declared(shape: tuple[int, ...], dtype: Any, chunks: tuple[int, ...]) -> Callable[[h5py.File, str], object]:
    return lambda file, key: file.create_dataset(key, shape, dtype, chunks=chunks)


def _link(make: Callable[[], Any]) -> Callable[[h5py.File, str], object]:
    return lambda file, key: file.__setitem__(key, make())


def _elsewhere(file: h5py.File, key: str) -> None:
    where = Path(file.filename).with_name("secret.raw")
    where.write_bytes(bytes(range(256)) * 64)
    file.create_dataset(key, (2, 3, 32, 24), np.uint8, external=[(str(where), 0, h5py.h5f.UNLIMITED)])


def _virtual(file: h5py.File, key: str) -> None:
    layout = h5py.VirtualLayout((2, 3, 32, 24), np.uint8)
    layout[:] = h5py.VirtualSource(str(Path(file.filename).with_name("other.h5")), "x", (2, 3, 32, 24))
    file.create_virtual_dataset(key, layout)


def _value(key: str, value: Any) -> Write:
    return _instead(key, lambda file, name: file.__setitem__(name, value))


def _one_depth(value: float) -> Write:
    return changed_nyu(lambda file: file["rawDepths"].__setitem__((1, 3, 3), value))


def _text_reference(file: h5py.File) -> None:
    file["#refs#/oops"] = "a text"
    file["scenes"][0, 0] = file["#refs#/oops"].ref


def _group_reference(file: h5py.File) -> None:
    file["scenes"][0, 0] = file["#refs#"].ref


MATS: dict[str, Write] = {
    **broken(nyu),
    **{f"without {key}": changed_nyu(lambda f, k=key: f.__delitem__(k)) for key in ("images", "rawDepths", "labels")},
    **{f"without {key}": changed_nyu(lambda f, k=key: f.__delitem__(k)) for key in ("names", "scenes", "sceneTypes")},
    "images is a group": _instead("images", lambda file, key: file.create_group(key)),
    "images are float": _value("images", np.zeros((2, 3, 32, 24), np.float32)),
    "images have three axes": _value("images", np.zeros((2, 32, 24), np.uint8)),
    "images have four channels": _value("images", np.zeros((2, 4, 32, 24), np.uint8)),
    "no image": _value("images", np.zeros((0, 3, 32, 24), np.uint8)),
    "declares 4·10^8 frames": _instead("images", _declared((400_000_000, 3, 32, 24), np.uint8, (1, 3, 32, 24))),
    "declares frames of 10^10 pixels": _instead(
        "images", _declared((2, 3, 100_000, 100_000), np.uint8, (1, 1, 100, 100))
    ),
    "declares a chunk of 3 GB": _instead("images", _declared((2, 3, 32_000, 32_000), np.uint8, (1, 3, 32_000, 31_000))),
    "another file's images by link": _instead("images", _link(lambda: h5py.ExternalLink("other.h5", "/images"))),
    "a link to itself": _instead("images", _link(lambda: h5py.SoftLink("/images"))),
    "a link to nothing": _instead("images", _link(lambda: h5py.SoftLink("/nothing"))),
    "images in another file": _instead("images", _elsewhere),
    "images of a virtual kind": _instead("images", _virtual),
    "images are empty": _value("images", h5py.Empty(np.uint8)),
    "scenes are empty": _value("scenes", h5py.Empty(h5py.ref_dtype)),
    "scenes are numbers": _value("scenes", np.zeros((1, 2))),
    "scenes are texts": _value("scenes", ["a", "b"]),
    "references to nothing": _instead("scenes", lambda file, key: file.create_dataset(key, (1, 2), h5py.ref_dtype)),
    "a reference to a text": changed_nyu(_text_reference),
    "a reference to a group": changed_nyu(_group_reference),
    "10^9 references": _instead("scenes", _declared((1, 10**9), h5py.ref_dtype, (1, 1000))),
    "another number of scenes": _instead("scenes", lambda file, key: file.create_dataset(key, (1, 3), h5py.ref_dtype)),
    "depth is NaN": _one_depth(np.nan),
    "depth is infinite": _one_depth(np.inf),
    "depth is negative": _one_depth(-1.0),
    "depth is double": _value("rawDepths", np.ones((2, 32, 24))),
    "a label above 894": changed_nyu(lambda file: file["labels"].__setitem__((1, 0, 0), 900)),
}
MAT_FLIPS: dict[str, Write] = {
    **{f"one bit turned, {seed}": flipped(nyu, 1, seed) for seed in range(12)},
    **{f"40 bits turned, {seed}": flipped(nyu, 40, seed) for seed in range(8)},
}


def splits(train: Any = (1,), test: Any = (2,), **more: Any) -> Write:
    def column(value: Any) -> Any:
        return value if scipy.sparse.issparse(value) or isinstance(value, str) else np.array(value)[:, None]

    return lambda path: scipy.io.savemat(path, {"trainNdxs": column(train), "testNdxs": column(test)} | more)


def _inflated(path: Path) -> None:
    """A compressed element that unpacks to a gigabyte."""
    packing = zlib.compressobj(9)
    start = packing.compress(bytes(10_000_000)) + packing.flush(zlib.Z_FULL_FLUSH)
    packed = start + (packing.compress(bytes(10_000_000)) + packing.flush(zlib.Z_FULL_FLUSH)) * 120
    header = b"MATLAB 5.0".ljust(124) + b"\0\1IM"
    path.write_bytes(header + struct.pack("<2I", 15, len(packed)) + packed)


SPLITS: dict[str, Write] = {
    **broken(splits()),
    "a frame twice": splits(train=(1, 1)),
    "a test frame twice": splits(test=(2, 2)),
    "a frame in both": splits(test=(1, 2)),
    "complex": splits(train=(1 + 1j,)),
    "halves": splits(train=(1.5,)),
    "NaN": splits(train=(np.nan,)),
    "infinite": splits(train=(np.inf,)),
    "zero": splits(train=(0,)),
    "negative": splits(train=(-1,)),
    "beyond the last": splits(test=(3,)),
    "10^18": splits(test=(10**18,)),
    "sparse": splits(train=scipy.sparse.csc_matrix(np.array([[1.0]]))),
    "a text": splits(train="first"),
    "nothing in it": splits(train=()),
    "a key less": lambda path: scipy.io.savemat(path, {"trainNdxs": np.array([[1]])}),
    "version 7.3": nyu,
    "unpacks to 1.2 GB": _inflated,
}


def ibims(**changes: Any) -> Write:
    content = {key: value for key, value in fields(**changes).items() if value is not None}
    return lambda path: scipy.io.savemat(path, {"data": content})


_SHAPE = rgbd.scene()[1].shape
IBIMS: dict[str, Write] = {
    **broken(ibims()),
    "without depth": ibims(depth=None),
    "without masks": ibims(mask_invalid=None),
    "depth is NaN": ibims(depth=np.full(_SHAPE, np.nan)),
    "depth is infinite": ibims(depth=np.full(_SHAPE, np.inf)),
    "no depth anywhere": ibims(depth=np.zeros(_SHAPE)),
    "a picture of floats": ibims(rgb=np.zeros((*_SHAPE, 3))),
    "a mask of another size": ibims(mask_invalid=np.ones((2, 2), np.uint8)),
    "no struct": lambda path: scipy.io.savemat(path, {"data": np.zeros(3)}),
    "another struct": lambda path: scipy.io.savemat(path, {"other": 1}),
    "a text for depth": ibims(depth="far"),
    "version 7.3": nyu,
    "unpacks to 1.2 GB": _inflated,
}


# ------------------------------------------------------------------------------------------------- lists
LISTS: dict[str, bytes] = {
    "not UTF-8": b"\xff\xfe\x00a",
    "names that lead out": b"../../etc/passwd depth/a.png\n",
    "depths that lead out": b"rgb/a.png ../../../etc/passwd\n",
    "a way out in the middle": b"rgb/../../x/a.png depth/a.png\n",
    "one name a line": b"rgb/a.png\n",
    "a NUL": b"rgb/a\x00.png depth/a.png\n",
    "no such file": b"rgb/nobody.png depth/a.png\n",
    "a folder": b"rgb depth\n",
    "nothing": b"",
    "blank lines": b"\n\n  \n",
    "a name of 5000 letters": b"rgb/" + b"a" * 5000 + b" depth/a.png\n",
    "a depth of none": b"rgb/a.png None\n",
    "zeros": bytes(1000),
}


# -------------------------------------------------------------------------------------------------- YAML
def laughs(levels: int = 12) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, levels)]
    return "\n".join(lines)


# Values that stand in for train.lr.
VALUES: dict[str, str] = {
    "an impossible date": "2001-99-99",
    "a binary number without digits": "0b_",
    "a text called int": "!!int x",
    "a text called bool": "!!bool x",
    "a text called timestamp": "!!timestamp x",
    "a text called float": "!!float x",
    "a text called binary": "!!binary é",
    "an ordered map": "!!omap [1]",
    "a set": "!!set {a}",
    "code": "!!python/object/apply:os.mkdir [never-to-exist]",
    "an unknown tag": "!moon 1",
    "5000 digits": "1" * 5000,
    "5000 sixteens": "0x" + "f" * 5000,
    "deep brackets": "[" * 20_000 + "]" * 20_000,
    "deep braces": "{a: " * 5_000 + "1" + "}" * 5_000,
    "infinite": ".inf",
    "minus infinite": "-.inf",
    "NaN": ".nan",
    "a list": "[1, 2]",
    "a text": "fast",
    "null": "null",
    "a list that holds itself": "&a [*a]",
    "an alias to nobody": "*nobody",
    "an open quote": '"a',
    "a tab": "\t\t- x",
    "a control character": "\x07",
}
# Whole files.
PROFILES: dict[str, bytes] = {
    "empty": b"",
    "not UTF-8": b"name: \xff",
    "a list": b"[1, 2]",
    "a text": b"hello",
    "laughs": laughs().encode(),
    "laughs under data": b"data:\n  train: &t [" + laughs(1).encode() + b"]",
    "numbers for keys": b"1: 2",
    "null for a key": b"null: 2",
    "a truth value for a key": b"yes: 2",
    "a list for a key": b"? [a]\n: 2",
    "a key twice": b"name: evil\nname: evil",
    "two documents": b"a: 1\n---\nb: 2",
    "extends itself": b"extends: evil",
    "extends a list": b"extends: [demo]",
    "extends a number": b"extends: 7",
    "extends what is elsewhere": b"extends: ../../secret",
    "extends sections of a number": b"extends: {good: 7}",
    "extends numbered sections": b"extends: {good: [7]}",
    "extends nobody": b"extends: nobody",
    "a byte order mark in the middle": b"name: \xef\xbb\xbfx\n\xef\xbb\xbf: 1",
    "zeros": bytes(100),
}
# Changes of a profile that have no meaning; what is said names the key.
CHANGES: tuple[str, ...] = (
    "train.lr=.inf",
    "train.lr=.nan",
    "train.lr=0",
    "train.lr=-1",
    "train.encoder_lr_factor=.inf",
    "train.div_factor=.inf",
    "train.final_div_factor=.inf",
    "train.weight_decay=.inf",
    "train.weight_decay=.nan",
    "train.clip_grad_norm=.inf",
    "train.pct_start=.nan",
    "train.validation_fraction=.nan",
    "train.save_minutes=.inf",
    "train.save_minutes=.nan",
    "train.epochs=1000000000",
    "train.epochs=0",
    "train.batch_size=1000000000",
    "train.accumulate=1000000000",
    "train.validations_per_epoch=1000000000",
    "train.workers=5000",
    "train.workers=-1",
    "train.threads=1000000000000000000000000000000",
    "train.threads=0",
    "train.threads=100000",
    "model.input_size=[1, 1]",
    "model.input_size=[1000000000, 64]",
    "model.decoder_channels=1000000000",
    "model.n_bins=1000000000",
    "model.bin_embedding_dim=1000000000",
    "model.n_attractors=[1000000000, 1, 1, 1]",
    "model.segmentation_channels=[]",
    "model.encoder=hf-hub:somebody/x",
    "model.encoder=../../x",
    "runs.distill.seed=-1",
    "runs.distill.seed=4294967296",
    "runs.distill.seed=1000000000000000000000",
    "runs.distill.seg_weight=.inf",
    "runs.distill.seg_weight=.nan",
    "runs.distill.seg_weight=-1",
    "runs.distill.method=../x",
    "evaluate.batch_size=1000000000",
    "evaluate.qualitative=1000000000",
)


def packed(path: Path) -> None:
    """A good pack."""
    from zdlib.data.pack import write_pack
    from zdlib.data.sets.nyu import NYUReader

    source = path.with_name("of_pack.mat")
    nyu(source)
    write_pack(path, NYUReader(source, "raw"), "nyu", source)
    source.unlink()


def _resealed(change: Callable[[h5py.File], object]) -> Write:
    """A pack whose checksum is right, and its content not what it should be."""
    from zdlib.data import pack

    def write(path: Path) -> None:
        packed(path)
        with h5py.File(path, "r+") as file:
            change(file)
        seal = b"zdlib pack %d sha256 %s bytes %d\n"
        with open(path, "r+b") as file:
            file.write(
                (seal % (pack.FORMAT, pack._digest(path).encode(), path.stat().st_size)).ljust(pack.USERBLOCK, b"\0")
            )

    return write


def _headed(header: bytes) -> Write:
    def write(path: Path) -> None:
        packed(path)
        path.write_bytes(header.ljust(512, b"\0") + path.read_bytes()[512:])

    return write


PACKS: dict[str, Write] = {
    **broken(packed),
    "a depth that there is not": _resealed(lambda file: file.attrs.__setitem__("depth", np.bytes_(b"guessed"))),
    "an attribute that is a number": _resealed(lambda file: file.attrs.__setitem__("depth", 7)),
    "an attribute that is no text": _resealed(lambda file: file.attrs.__setitem__("source", np.bytes_(b"\xff\xfe"))),
    "an attribute that is empty": _resealed(lambda file: file.attrs.__setitem__("code", h5py.Empty("f"))),
    "an attribute that is an array": _resealed(lambda file: file.attrs.__setitem__("depth", np.arange(5))),
    "without depths": _resealed(lambda file: file.__delitem__("rawDepths")),
    "without images": _resealed(lambda file: file.__delitem__("images")),
    "of another kind of set": _resealed(lambda file: file.attrs.__delitem__("depth")),
    "format 1": _headed(b"zdlib-pack\r\n"),
    "format 99": _headed(b"zdlib pack 99 sha256 " + b"0" * 64 + b" bytes 9\n"),
    "a format of 400 digits": _headed(b"zdlib pack " + b"9" * 400),
    "a size of 400 digits": _headed(b"zdlib pack 2 sha256 " + b"0" * 64 + b" bytes " + b"9" * 400 + b"\n"),
    "a format that is no number": _headed(b"zdlib pack \xb2 sha256"),
    "no digest": _headed(b"zdlib pack 2 sha256 bytes 9\n"),
    "another digest": _headed(b"zdlib pack 2 sha256 " + b"0" * 64 + b" bytes 9\n"),
}
