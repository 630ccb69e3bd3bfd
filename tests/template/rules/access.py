"""IAM: nobody may more than he does."""

from collections.abc import Iterator

from template.body import Body, View, as_list
from template.rules.registry import Complaint, rule

# What Session Manager needs.
MANAGED = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
IDENTITIES = ("AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group")
ATTACHED = ("AWS::IAM::RolePolicy", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::S3::BucketPolicy")
ANYBODY = ("*", {"AWS": "*"})


def _statements(view: View) -> Iterator[tuple[str, Body]]:
    """Return every statement of every policy, trust policies too."""
    for name, properties in view.of(*IDENTITIES, *ATTACHED):
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        documents += [
            properties[key] for key in ("AssumeRolePolicyDocument", "PolicyDocument") if key in properties
        ]
        yield from (
            (name, statement) for document in documents for statement in as_list(document["Statement"])
        )


def _allowed(view: View) -> Iterator[tuple[str, Body]]:
    return ((name, statement) for name, statement in _statements(view) if statement["Effect"] == "Allow")


@rule("`s3:*` holds what nobody thought of: bucket policies, and next year's actions.")
def no_action_is_a_wildcard(view: View) -> Iterator[Complaint]:
    for name, statement in _allowed(view):
        for action in as_list(statement.get("Action")):
            if action == "*" or action.endswith(":*"):
                yield Complaint(name, f"allows {action}: name the actions")


@rule("A right to everything of a kind is a right to what other stacks own.")
def no_resource_is_a_wildcard(view: View) -> Iterator[Complaint]:
    for name, statement in _allowed(view):
        if "*" in as_list(statement.get("Resource")) and not statement.get("Condition"):
            yield Complaint(name, f"allows {statement.get('Action')} on *: name resources, or a condition")


@rule("Not… allows all that it does not name.")
def nothing_is_said_by_exception(view: View) -> Iterator[Complaint]:
    for name, statement in _statements(view):
        for key in ("NotAction", "NotResource", "NotPrincipal"):
            if key in statement:
                yield Complaint(name, f"uses {key}: say what is meant")


@rule("Everybody is every account of AWS.")
def nothing_is_allowed_to_everybody(view: View) -> Iterator[Complaint]:
    for name, statement in _allowed(view):
        if statement.get("Principal") in ANYBODY:
            yield Complaint(name, "allows everybody: name a principal")


@rule("What a managed policy allows is decided by others, and grows.")
def session_manager_has_the_only_managed_policy(view: View) -> Iterator[Complaint]:
    for name, identity in view.of(*IDENTITIES):
        for arn in identity.get("ManagedPolicyArns", []):
            if arn != MANAGED:
                yield Complaint(name, f"has {arn}: write the few actions down")
