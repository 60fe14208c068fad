"""A GGUF file is read once while its model loads."""

from pathlib import Path

import numpy as np
import pytest

from fairprint.audit.gguf_files import read_once, weights_of

gguf = pytest.importorskip("gguf")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    writer = gguf.GGUFWriter(tmp_path / "tiny.gguf", "llama")
    writer.add_block_count(1)
    for name in ("token_embd.weight", "output.weight"):
        writer.add_tensor(
            name, gguf.quantize(np.ones((2, 32), np.float32), gguf.GGMLQuantizationType.Q8_0), raw_dtype=8
        )
    writer.add_tensor("output_norm.weight", np.ones(32, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "tiny.gguf"


def test_a_file_and_a_table_of_names_are_read_once_as_long_as_a_load_lasts(file: Path) -> None:
    reader, table, given = gguf.GGUFReader, gguf.get_tensor_name_map, (gguf.MODEL_ARCH.LLAMA, 2)
    with read_once(file.name):
        assert gguf.GGUFReader(str(file)) is gguf.GGUFReader(str(file))
        assert gguf.get_tensor_name_map(*given) is gguf.get_tensor_name_map(*given)
        assert gguf.get_tensor_name_map(*given).mapping == table(*given).mapping
        assert gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 1).mapping != table(*given).mapping
    assert (gguf.GGUFReader, gguf.get_tensor_name_map) == (reader, table)


def test_after_a_load_that_failed_files_are_read_anew(file: Path) -> None:
    reader = gguf.GGUFReader
    with pytest.raises(ValueError, match="magic"), read_once(file.name):
        (file.parent / "damaged.gguf").write_bytes(b"GGUX" + file.read_bytes()[4:])
        gguf.GGUFReader(str(file.parent / "damaged.gguf"))
    assert gguf.GGUFReader is reader


def test_for_a_model_of_another_form_nothing_changes() -> None:
    reader = gguf.GGUFReader
    with read_once(None):
        assert gguf.GGUFReader is reader


def test_the_types_of_quantised_weights_are_told(file: Path) -> None:
    assert weights_of(file) == "GGUF, de-quantised from Q8_0 (2)"
