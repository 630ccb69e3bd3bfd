"""The CloudFormation template: rules, policies, and what becomes of it in moto."""
