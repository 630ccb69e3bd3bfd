"""What moto's CloudFormation lacks of our template, by moto's own means; `import` is enough."""

import json
from typing import Any

from moto.core.common_models import CloudFormationModel
from moto.rds.models import DBParameterGroup
from moto.secretsmanager.models import secretsmanager_backends

# Of all that the template refers to only this has no id.
DBParameterGroup.physical_resource_id = property(lambda group: group.name)  # type: ignore[attr-defined]


class Secret(CloudFormationModel):
    """A generated secret; its id is its ARN."""

    def __init__(self, arn: str) -> None:
        self.physical_resource_id = arn

    @staticmethod
    def cloudformation_name_type() -> str:
        """The property that would name it."""
        return "Name"

    @staticmethod
    def cloudformation_type() -> str:
        """The template's name for it."""
        return "AWS::SecretsManager::Secret"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        """Nobody asks for more than its id."""
        return attr == "Id"

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **kwargs: Any,
    ) -> "Secret":
        """Generate it as AWS would."""
        backend = secretsmanager_backends[account_id][region_name]
        properties = cloudformation_json["Properties"]
        wanted = properties["GenerateSecretString"]
        password = json.loads(
            backend.get_random_password(
                password_length=wanted["PasswordLength"],
                exclude_punctuation=wanted["ExcludePunctuation"],
                exclude_characters="",
                exclude_numbers=False,
                exclude_uppercase=False,
                exclude_lowercase=False,
                include_space=False,
                require_each_included_type=True,
            )
        )["RandomPassword"]
        if template := wanted.get("SecretStringTemplate"):
            password = json.dumps({**json.loads(template), wanted["GenerateStringKey"]: password})
        made = backend.create_secret(
            name=resource_name,
            secret_string=password,
            secret_binary=None,
            description=properties["Description"],
            tags=[],
            kms_key_id=None,
            client_request_token=None,
            replica_regions=[],
            force_overwrite=False,
        )
        return cls(json.loads(made)["ARN"])
