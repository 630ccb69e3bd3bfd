"""Every mistake in the template that we know how to make, by the rule that has to see it."""

from template.body import Body
from template.edits import Change, add, all_of, drop, put, replace

LAUNCH = "Resources/Template/Properties/LaunchTemplateData"
USER_DATA = f"{LAUNCH}/UserData/Fn::Base64/Fn::Sub/0"
BUCKET = "Resources/ArchiveBucket/Properties"
STATEMENTS = "Resources/ArchivePolicy/Properties/PolicyDocument/Statement"
BRING_UP = "Resources/HostRole/Properties/Policies/PolicyName=bring-up/PolicyDocument/Statement"
REPORT = "Resources/HostRole/Properties/Policies/PolicyName=report/PolicyDocument/Statement"
TAKE_ROLES = "Resources/HostTakesRoles/Properties/PolicyDocument/Statement"
SINK = "Resources/SinkRole/Properties/Policies/PolicyName=archive/PolicyDocument/Statement"
DATABASE = "Resources/Database/Properties"
UPDATE = "Resources/Host/UpdatePolicy/AutoScalingRollingUpdate"
INGRESS = "Resources/HostSecurityGroup/Properties/SecurityGroupIngress"
EGRESS = "Resources/HostSecurityGroup/Properties/SecurityGroupEgress"
GROUPS = "Metadata/AWS::CloudFormation::Interface/ParameterGroups"
LABELS = "Metadata/AWS::CloudFormation::Interface/ParameterLabels"
ANY = {"CidrIp": "0.0.0.0/0"}
CLIENTS = {"CidrIp": {"Ref": "ClientCidr"}}
NETWORK_ALONE = {"CidrIp": "10.20.0.0/16"}
GROUP = {"GroupId": {"Ref": "HostSecurityGroup"}}
SSM = {"Fn::Sub": "aws ssm start-session --region ${AWS::Region}"}
# By rule, then by what is wrong.
Mistakes = dict[str, dict[str, Change]]


def _open(port: int, peer: Body) -> Body:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **peer}


def _role(statement: Body) -> Change:
    """Add a role that EC2 may take on, with this one statement."""
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = {"PolicyName": "more", "PolicyDocument": {"Statement": statement}}
    document = {"Statement": [trust]}
    return add("More", "AWS::IAM::Role", AssumeRolePolicyDocument=document, Policies=[policy])


# Nobody needs the database's secret where its password is another: then it would have to be kept.
_KEPT = all_of(
    put("Resources/DatabaseSecret/DeletionPolicy", "Retain"),
    put("Resources/DatabaseSecret/UpdateReplacePolicy", "Retain"),
)

NETWORK: Mistakes = {
    "only_443_is_open_to_everybody": {
        "Kafka": put(f"{INGRESS}/-", _open(9092, ANY)),
        "Cassandra": put(f"{INGRESS}/-", _open(9042, ANY)),
        "Redis, by IPv6": put(f"{INGRESS}/-", _open(6379, {"CidrIpv6": "::/0"})),
        "PostgreSQL, to the clients": put(f"{INGRESS}/-", _open(5432, CLIENTS)),
        "443 in a range": put(f"{INGRESS}/Description=pins/ToPort", 1024),
        "half of the internet": put(f"{INGRESS}/-", _open(22, {"CidrIp": "128.0.0.0/1"})),
        "a rule of its own": add("Extra", "AWS::EC2::SecurityGroupIngress", **GROUP, **_open(9092, ANY)),
        "only where a condition holds not": put(
            f"{INGRESS}/-", {"Fn::If": ["HasDomain", {"Ref": "AWS::NoValue"}, _open(8000, ANY)]}
        ),
    },
    "no_rule_for_every_protocol": {
        "in": put(f"{INGRESS}/-", {"IpProtocol": "-1", **NETWORK_ALONE}),
        "in, everybody": put(f"{INGRESS}/-", {"IpProtocol": "-1", **ANY}),
        "out": put(f"{EGRESS}/-", {"IpProtocol": "-1", **ANY}),
        "out, a rule of its own": add(
            "Extra", "AWS::EC2::SecurityGroupEgress", **GROUP, IpProtocol="-1", **ANY
        ),
    },
    "rules_are_described_in_plain_letters": {
        "an apostrophe": put(f"{EGRESS}/Description=packages of Debian/Description", "Debian's packages"),
        "of a rule of its own": add(
            "Extra", "AWS::EC2::SecurityGroupIngress", **GROUP, **_open(443, ANY), Description="à la carte"
        ),
        "long": put(f"{INGRESS}/Description=pins/Description", "pins " * 60),
    },
    "the_way_out_is_the_web": {
        "a port": put(f"{EGRESS}/-", _open(25, ANY)),
        "all ports": put(f"{EGRESS}/-", _open(1, {"ToPort": 65535, "CidrIpv6": "::/0"})),
        "no rules": drop("Resources/DatabaseSecurityGroup/Properties/SecurityGroupEgress"),
    },
    "subnets_are_in_two_zones": {
        "private ones in one": put("Resources/PrivateSubnetB/Properties/AvailabilityZone/Fn::Select/0", 0),
        "one public subnet": all_of(drop("Resources/PublicSubnetB"), drop("Resources/PublicRoutesB")),
    },
    "private_subnets_have_no_way_out": {
        "a gateway": add(
            "Out", "AWS::EC2::Route", RouteTableId={"Ref": "PrivateRoutes"}, GatewayId={"Ref": "Gateway"}
        ),
        "public routes": put("Resources/PrivateRoutesA/Properties/RouteTableId", {"Ref": "PublicRoutes"}),
        "the main table": drop("Resources/PrivateRoutesB"),
    },
    "databases_are_in_private_subnets": {
        "a public one": put("Resources/DatabaseSubnets/Properties/SubnetIds/0", {"Ref": "PublicSubnetA"}),
    },
}

HOST: Mistakes = {
    "metadata_ask_for_a_token": {
        "optional": put(f"{LAUNCH}/MetadataOptions/HttpTokens", "optional"),
        "nothing said": drop(f"{LAUNCH}/MetadataOptions"),
        "an instance": add("Extra", "AWS::EC2::Instance", ImageId={"Ref": "Image"}),
    },
    "disks_are_encrypted": {
        "root": drop(f"{LAUNCH}/BlockDeviceMappings/0/Ebs/Encrypted"),
        "data": put("Resources/DataVolume/Properties/Encrypted", False),
        "RDS": drop(f"{DATABASE}/StorageEncrypted"),
    },
    "disks_are_gp3": {
        "root": put(f"{LAUNCH}/BlockDeviceMappings/0/Ebs/VolumeType", "gp2"),
        "data": drop("Resources/DataVolume/Properties/VolumeType"),
        "RDS": put(f"{DATABASE}/StorageType", "gp2"),
    },
    "creation_waits_for_the_host": {
        "no policy": drop("Resources/Host/CreationPolicy"),
        "5 minutes": put("Resources/Host/CreationPolicy/ResourceSignal/Timeout", "PT5M"),
        "two": put("Resources/Host/CreationPolicy/ResourceSignal/Count", 2),
    },
    "updates_wait_for_the_host": {
        "without its word": drop(f"{UPDATE}/WaitOnResourceSignals"),
        "no time": drop(f"{UPDATE}/PauseTime"),
        "two hours": put(f"{UPDATE}/PauseTime", "PT2H"),
    },
    "one_host_at_a_time": {
        "one stays": put(f"{UPDATE}/MinInstancesInService", 1),
        "a group of two": put("Resources/Host/Properties/MaxSize", "2"),
    },
    "user_data_tell_success_and_failure": {
        "no trap": replace(USER_DATA, " EXIT\n", "\n"),
        "no failure": replace(USER_DATA, "FAILURE", "SUCCESS"),
        "no signal": replace(USER_DATA, "signal-resource", "describe"),
    },
    "user_data_hold_no_secret": {
        "resolved": replace(USER_DATA, "ENV\n", "PASSWORD={{resolve:secretsmanager:${Seed}}}\nENV\n"),
        "a hidden parameter": all_of(
            put("Parameters/KeyName/NoEcho", True),
            drop("Parameters/KeyName/Default"),
            replace(USER_DATA, "ENV\n", "KEY=${KeyName}\nENV\n"),
        ),
    },
    "user_data_are_short": {
        "long": replace(USER_DATA, "ENV\n", "# more\n" * 2000 + "ENV\n"),
    },
    "user_data_are_a_script": {
        "no interpreter": replace(USER_DATA, "#!/bin/bash", "# bash"),
    },
}

ARCHIVE: Mistakes = {
    "archive_is_private": {
        **{
            block: put(f"{BUCKET}/PublicAccessBlockConfiguration/{block}", False)
            for block in ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
        },
        "nothing said": drop(f"{BUCKET}/PublicAccessBlockConfiguration"),
    },
    "archive_is_encrypted": {
        "nothing said": drop(f"{BUCKET}/BucketEncryption"),
    },
    "archive_has_versions": {
        "suspended": put(f"{BUCKET}/VersioningConfiguration/Status", "Suspended"),
    },
    "archive_forgets_leftovers": {
        "uploads": drop(f"{BUCKET}/LifecycleConfiguration/Rules/0/AbortIncompleteMultipartUpload"),
        "versions": drop(f"{BUCKET}/LifecycleConfiguration/Rules/0/NoncurrentVersionExpiration"),
        "a disabled rule": put(f"{BUCKET}/LifecycleConfiguration/Rules/0/Status", "Disabled"),
    },
    "archive_knows_no_access_lists": {
        "the writer owns": put(f"{BUCKET}/OwnershipControls/Rules/0/ObjectOwnership", "ObjectWriter"),
    },
    "archive_speaks_tls": {
        "no statement": drop(f"{STATEMENTS}/Sid=TlsOnly"),
        "objects alone": drop(f"{STATEMENTS}/Sid=TlsOnly/Resource/0"),
        "the wrong way": put(f"{STATEMENTS}/Sid=TlsOnly/Condition/Bool/aws:SecureTransport", "true"),
    },
    "archive_is_written_once": {
        "no statement": drop(f"{STATEMENTS}/Sid=CreateOnly"),
        "elsewhere": put(
            f"{STATEMENTS}/Sid=CreateOnly/Resource", {"Fn::Sub": "${ArchiveBucket.Arn}/other/*"}
        ),
    },
    "archive_is_never_deleted": {
        "no statement": drop(f"{STATEMENTS}/Sid=NobodyDeletes"),
        "versions": put(f"{STATEMENTS}/Sid=NobodyDeletes/Action", "s3:DeleteObject"),
        "for some": put(
            f"{STATEMENTS}/Sid=NobodyDeletes/Condition", {"Bool": {"aws:MultiFactorAuthPresent": "false"}}
        ),
    },
}

DATA: Mistakes = {
    "data_outlive_the_stack": {
        **{
            name: drop(f"Resources/{name}/DeletionPolicy")
            for name in ("ArchiveBucket", "Seed", "Database", "DataVolume", "DatabaseSecret")
        },
        **{
            f"{name}, replaced": put(f"Resources/{name}/UpdateReplacePolicy", "Delete")
            for name in ("ArchiveBucket", "Seed", "Database", "DataVolume")
        },
    },
    "the_database_is_private": {
        "public": put(f"{DATABASE}/PubliclyAccessible", True),
        "nothing said": drop(f"{DATABASE}/PubliclyAccessible"),
    },
    "the_database_is_backed_up": {
        "never": put(f"{DATABASE}/BackupRetentionPeriod", 0),
    },
    "the_database_speaks_tls": {
        "if it likes": put("Resources/DatabaseParameters/Properties/Parameters/rds.force_ssl", "0"),
        "AWS's group": drop(f"{DATABASE}/DBParameterGroupName"),
    },
    "no_parameter_has_a_password_by_default": {
        "by its name": all_of(
            put(
                "Parameters/DatabasePassword", {"Type": "String", "Default": "pinflow", "Description": "It."}
            ),
            put(f"{GROUPS}/0/Parameters/-", "DatabasePassword"),
            put(f"{LABELS}/DatabasePassword", {"default": "It"}),
        ),
        "hidden": put("Parameters/AlarmEmail/NoEcho", True),
    },
    "passwords_are_references": {
        "a literal": all_of(_KEPT, put(f"{DATABASE}/MasterUserPassword", "pinflow-pinflow")),
        "a parameter": all_of(_KEPT, put(f"{DATABASE}/MasterUserPassword", {"Ref": "KeyName"})),
    },
    "secrets_are_generated": {
        "short": put("Resources/Seed/Properties/GenerateSecretString/PasswordLength", 8),
        "empty": drop("Resources/Seed/Properties/GenerateSecretString"),
    },
}

ACCESS: Mistakes = {
    "no_action_is_a_wildcard": {
        "all of S3": put(f"{SINK}/0/Action", "s3:*"),
        "all": put(f"{TAKE_ROLES}/0/Action", "*"),
    },
    "no_resource_is_a_wildcard": {
        "every stack": put(f"{BRING_UP}/Action=cloudformation:SignalResource/Resource", "*"),
        "every metric": drop(f"{REPORT}/Action=cloudwatch:PutMetricData/Condition"),
    },
    "nothing_is_said_by_exception": {
        "actions": _role({"Effect": "Allow", "NotAction": "iam:CreateUser", "Resource": "arn:x"}),
        "resources": _role({"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:x"}),
    },
    "nothing_is_allowed_to_everybody": {
        "the archive": put(
            f"{STATEMENTS}/-",
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": {"Fn::Sub": "${ArchiveBucket.Arn}/*"},
            },
        ),
        "a role": put(
            "Resources/SinkRole/Properties/AssumeRolePolicyDocument/Statement/0/Principal/AWS", "*"
        ),
    },
    "session_manager_has_the_only_managed_policy": {
        "an administrator": put(
            "Resources/HostRole/Properties/ManagedPolicyArns/-",
            {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AdministratorAccess"},
        ),
    },
}

WATCHING: Mistakes = {
    "logs_are_forgotten": {
        "never": drop("Resources/Logs/Properties/RetentionInDays"),
    },
    "silence_of_ready_is_an_alarm": {
        "ignored": put("Resources/NotReady/Properties/TreatMissingData", "ignore"),
        "no alarm": drop("Resources/NotReady"),
    },
    "alarms_tell_somebody": {
        "nobody": put("Resources/DataVolumeFills/Properties/AlarmActions", []),
        "nobody when it is over": drop("Resources/HostImpaired/Properties/OKActions"),
    },
}

FORM: Mistakes = {
    "parameters_are_described": {
        "not": drop("Parameters/Revision/Description"),
    },
    "parameters_have_a_label_and_one_group": {
        "no label": drop(f"{LABELS}/Revision"),
        "two groups": put(f"{GROUPS}/1/Parameters/-", "Revision"),
        "no parameter": put(f"{GROUPS}/1/Parameters/-", "Gone"),
    },
    "nothing_is_hard_coded": {
        "an image": put(f"{LAUNCH}/ImageId", "ami-0123456789abcdef0"),
        "an account": replace(
            f"{BRING_UP}/Action=cloudformation:SignalResource/Resource/Fn::Sub",
            "${AWS::AccountId}",
            "210987654321",
        ),
        "a region": replace(USER_DATA, "${AWS::Region}", "eu-central-1"),
        "a zone": put("Resources/DataVolume/Properties/AvailabilityZone", "us-gov-west-1a"),
        "a partition": put(
            "Resources/HostRole/Properties/ManagedPolicyArns/0",
            "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
        ),
    },
    "pages_are_told_and_closed": {
        "no shell": drop("Outputs/Shell"),
        "a page without a port": put("Outputs/SparkPage/Value", SSM),
        "Airflow's port": put(f"{INGRESS}/-", _open(8080, NETWORK_ALONE)),
        "Alertmanager's port": put(f"{INGRESS}/-", _open(9093, NETWORK_ALONE)),
    },
}

MISTAKES: Mistakes = NETWORK | HOST | ARCHIVE | DATA | ACCESS | WATCHING | FORM
