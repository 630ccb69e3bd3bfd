"""The template's stack in moto, and the hosts that its group would launch."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import yaml
from template.body import REGION
from template.deployed import Deployed

from cloud import aws
from cloud.aws import Aws, Call
from cloud.host import BOOT_SECONDS, LATER, Host, Volume
from cloud.network import AWS
from cloud.revisions import FIRST, NAME

STACK = "pinflow"
PROJECT = "pinflow-host"
# Of the images that the host builds; those of a stack that runs here stay what they are.
VERSION = "host"
REACHING_AWS = (
    "s3-sink",
    "batch-etl",
    "batch-etl-redis",
    "demo",
    "migrate",
    "stream-etl",
    "postgres-exporter",
)
# The host's own trust.
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
TRUST = {
    "environment": {"AWS_CA_BUNDLE": "/etc/pinflow/authorities.crt"},
    "volumes": [f"{AUTHORITIES}:/etc/pinflow/authorities.crt:ro"],
}
GIBIBYTES = 30


class Region:
    """One stack, its data volume, and whoever is to be its host."""

    def __init__(self, cloud: Aws, machines: Path, directory: Path, volume: Volume) -> None:
        self.stack = Deployed(STACK, f"https://{aws.GIT}/{NAME}")
        self.cloud = cloud
        self._machines = machines
        self._directory = directory
        self._volume = volume

    def deploy(self, revision: str = FIRST) -> None:
        """Make the stack, or update it."""
        there = boto3.client("cloudformation").list_stacks()["StackSummaries"]
        kind = "UPDATE" if there else "CREATE"
        self.stack.change(kind, Revision=revision, DataVolumeGiB=str(GIBIBYTES))
        # Moto takes a Deny for one without its conditions; test_access.py asks the policy itself.
        boto3.client("s3").delete_bucket_policy(Bucket=self.stack.ids["ArchiveBucket"])

    @contextmanager
    def host(self, name: str, machine: str = LATER, before: str = "true") -> Iterator[Host]:
        """Boot the host that the group launches now; it finds the command done."""
        group = boto3.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]
        self.cloud.instance_id = group["Instances"][0]["InstanceId"]
        self.cloud.user_data = self.stack.user_data()
        directory = self._directory / name
        self._name_aws(directory / "files/etc/hosts")
        with Host.booted(self._machines / machine, directory) as host:
            # systemd may be still on its way.
            host.run(before, within=BOOT_SECONDS)
            self.cloud.hooks["AttachVolume"] = lambda call: host.plug(self._volume, call.body["VolumeId"])
            # They are fetched when the data volume is there, and nothing yet of what is in site.env.
            self.cloud.hooks["Download"] = lambda call: self._site(host)
            try:
                yield host
            finally:
                if host.runs:
                    _forget(host)

    def shut_down(self, host: Host) -> None:
        """Do what EC2 does to one that it replaces; nothing of its root disk is left for the next."""
        host.attempt("systemctl stop pinflow")
        _forget(host)
        host.shut_down()

    def _site(self, host: Host) -> None:
        """Write what only this host has: images of the tests, and how its containers reach AWS."""
        site = {"services": {service: TRUST | self._names() for service in REACHING_AWS}}
        host.write("/var/lib/pinflow/site.yaml", yaml.safe_dump(site))
        told = {
            "COMPOSE_PROJECT_NAME": PROJECT,
            "PINFLOW_VERSION": VERSION,
            "SINK_FLUSH_MAX_SECONDS": "5",
            # The schedule would be before the tests.
            "PINFLOW_DAGS_PAUSED": "true",
        }
        lines = "".join(f"{name}={value}\n" for name, value in told.items())
        host.write("/var/lib/pinflow/site.env", lines)

    def _names(self) -> dict[str, list[str]]:
        return {"extra_hosts": [f"{name}:{AWS}" for name in self.elsewhere()]}

    def replace_instance(self) -> None:
        """Let the group launch another, as an update does when the one before has shut down."""
        ec2 = boto3.client("ec2")
        for volume in ec2.describe_volumes(VolumeIds=[self.stack.ids["DataVolume"]])["Volumes"]:
            for attached in volume["Attachments"]:
                ec2.detach_volume(VolumeId=volume["VolumeId"], InstanceId=attached["InstanceId"])
        boto3.client("autoscaling").terminate_instance_in_auto_scaling_group(
            InstanceId=self.cloud.instance_id, ShouldDecrementDesiredCapacity=False
        )

    def signals(self) -> list[Call]:
        """Return what hosts have told the stack."""
        return self.cloud.called("SignalResource")

    def elsewhere(self) -> list[str]:
        """Return every name of this stack that leads to AWS."""
        bucket = f"{self.stack.ids['ArchiveBucket']}.s3.{REGION}.amazonaws.com"
        return [*aws.names(), bucket, *filter(None, [self.stack.outputs().get("DatabaseEndpoint")])]

    def _name_aws(self, hosts: Path) -> None:
        hosts.parent.mkdir(parents=True)
        lines = ["127.0.0.1 localhost", *(f"{AWS} {name}" for name in self.elsewhere())]
        hosts.write_text("\n".join(lines) + "\n")


def _forget(host: Host) -> None:
    """Remove its containers and networks, which no engine of this machine, nor the next host, is to find."""
    ours = f"--quiet --filter label=com.docker.compose.project={PROJECT} | xargs --no-run-if-empty"
    host.attempt(f"docker container ls --all {ours} docker container rm --force")
    host.attempt(f"docker network ls {ours} docker network rm")
