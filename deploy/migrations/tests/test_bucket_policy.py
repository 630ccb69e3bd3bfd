import json

import pytest
from migrations.bucket import archive_policy


def allowed(*, sink: str | None = None, batch: str | None = None) -> dict[str, set[str]]:
    """What the policy allows whom, as "action resource"."""
    policy = json.loads(json.dumps(archive_policy("pinflow", sink=sink, batch=batch)))
    found: dict[str, set[str]] = {}
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        rights = {f"{action} {where}" for action in statement["Action"] for where in statement["Resource"]}
        for principal in statement["Principal"]["AWS"]:
            found[principal] = found.get(principal, set()) | rights
    return found


SINK = {
    "s3:PutObject arn:aws:s3:::pinflow/raw/*",
    "s3:GetObject arn:aws:s3:::pinflow/raw/*",
    "s3:ListBucket arn:aws:s3:::pinflow",
}
BATCH = {"s3:GetObject arn:aws:s3:::pinflow/raw/*", "s3:ListBucket arn:aws:s3:::pinflow"}


def test_the_sink_writes_the_archive_the_batch_job_reads_it_and_nobody_deletes() -> None:
    assert allowed(sink="the-sink", batch="the-batch") == {"the-sink": SINK, "the-batch": BATCH}


@pytest.mark.parametrize(("who", "rights"), [("sink", SINK), ("batch", BATCH)])
def test_one_principal_alone_is_allowed_the_same(who: str, rights: set[str]) -> None:
    assert allowed(**{who: "alone"}) == {"alone": rights}


def test_every_statement_has_a_name_of_its_own() -> None:
    statements = json.loads(json.dumps(archive_policy("pinflow", sink="a", batch="b")))["Statement"]
    assert len({statement["Sid"] for statement in statements}) == len(statements)
