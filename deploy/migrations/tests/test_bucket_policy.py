import json

from migrations.bucket import archive_policy


def test_the_sink_may_write_read_and_list_the_archive_and_delete_nothing() -> None:
    policy = json.dumps(archive_policy("pinflow", "the-sink"))
    assert "arn:aws:s3:::pinflow/raw/*" in policy
    for action in ("s3:PutObject", "s3:GetObject", "s3:ListBucket"):
        assert action in policy
    assert "Delete" not in policy
    assert "*" not in policy.replace("raw/*", "")
