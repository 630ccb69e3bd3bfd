"""PostgreSQL by RDS, and what outlives the stack."""

from collections.abc import Iterator

from cloud_stack.changes import WITH_DATA

from template.body import View, strings
from template.rules.registry import Complaint, rule

KEPT = {"Retain", "RetainExceptOnCreate", "Snapshot"}


@rule("Whoever deletes a stack means the machines, seldom the data; a replacement means neither.")
def data_outlive_the_stack(view: View) -> Iterator[Complaint]:
    # A snapshot is restored with a new password.
    replaceable = {
        name
        for name, secret in view.body["Resources"].items()
        if secret["Type"] == "AWS::SecretsManager::Secret"
        for _, database in view.of("AWS::RDS::DBInstance")
        if any(view.resolve({"Ref": name}) in text for text in strings(database))
    }
    for name, resource in view.body["Resources"].items():
        if resource["Type"] in WITH_DATA and ("Condition" not in resource or view.conditions):
            for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
                wanted = KEPT | {"Delete"} if name in replaceable else KEPT
                if resource.get(policy) not in wanted:
                    yield Complaint(name, f"{policy} is {resource.get(policy)}: retain it or take a snapshot")


@rule("The host alone talks to the database.")
def the_database_is_private(view: View) -> Iterator[Complaint]:
    for name, database in view.of("AWS::RDS::DBInstance"):
        if database.get("PubliclyAccessible") is not False:
            yield Complaint(name, "PubliclyAccessible is not false, and its default depends on the subnets")


@rule("With 0 days nothing is backed up, and no moment of the past can be restored.")
def the_database_is_backed_up(view: View) -> Iterator[Complaint]:
    for name, database in view.of("AWS::RDS::DBInstance"):
        if not database.get("BackupRetentionPeriod"):
            yield Complaint(name, "has no BackupRetentionPeriod: 1 to 35 days")


@rule("PostgreSQL takes passwords in the clear unless it is told to refuse.")
def the_database_speaks_tls(view: View) -> Iterator[Complaint]:
    groups = dict(view.of("AWS::RDS::DBParameterGroup"))
    for name, database in view.of("AWS::RDS::DBInstance"):
        group = groups.get(database.get("DBParameterGroupName", ""), {})
        if group.get("Parameters", {}).get("rds.force_ssl") != "1":
            yield Complaint(name, "takes connections without TLS: a parameter group with rds.force_ssl 1")
