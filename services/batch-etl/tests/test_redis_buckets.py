"""Chunks hold all rows in order, and none is too large."""

import pyarrow as pa
from batch_etl.redis_buckets import CHUNK_BYTES, chunks_of


def read(chunks: list[bytes]) -> pa.Table:
    return pa.concat_tables([pa.ipc.open_stream(chunk).read_all() for chunk in chunks])


def test_chunks_hold_all_rows_in_order() -> None:
    batch = pa.RecordBatch.from_pydict({"n": list(range(200_000)), "text": ["some text"] * 200_000})
    chunks = list(chunks_of(batch))
    assert len(chunks) > 2
    assert read(chunks).to_batches(max_chunksize=200_000)[0].schema == batch.schema
    assert read(chunks).combine_chunks() == pa.Table.from_batches([batch]).combine_chunks()


def test_a_row_larger_than_a_chunk_is_a_chunk() -> None:
    batch = pa.RecordBatch.from_pydict({"text": ["x" * CHUNK_BYTES * 2, "y"]})
    assert len(list(chunks_of(batch))) == 2


def test_nothing_is_no_chunk() -> None:
    assert list(chunks_of(pa.RecordBatch.from_pydict({"n": pa.array([], pa.int64())}))) == []
