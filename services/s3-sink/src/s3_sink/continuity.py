"""Whether records just read continue the chain. Pure."""

from collections.abc import Sequence

from service_runtime.broker import Record

from s3_sink.resume import Proof
from s3_sink.stops import DeletedByRetention, TopicRecreated


def continuing(
    records: Sequence[Record], expected: int, proof: Proof | None, log_start: int
) -> Sequence[Record]:
    """Return the records to append, or raise the ChainStop that says why they do not follow.

    The proof, when there is one, is the last archived record read again: it must be what the archive says,
    unless retention took it meanwhile. Offsets may jump (transactions leave markers), but not over records
    that retention deleted, nor back.
    """
    first = records[0]
    if proof is not None and log_start <= proof.offset:
        if (first.offset, first.timestamp) != (proof.offset, proof.timestamp):
            raise TopicRecreated(
                f"the archive's last record is {proof.offset} of {proof.timestamp} ms, "
                f"the log has {first.offset} of {first.timestamp} ms there"
            )
        records = records[1:]
    if log_start > expected:
        raise DeletedByRetention(f"records {expected}..{log_start - 1} were deleted before they were read")
    if records and records[0].offset < expected:
        raise TopicRecreated(f"expected offset {expected}, the log went back to {records[0].offset}")
    return records
