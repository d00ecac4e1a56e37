"""Trusts: a user lends some of his roles on a project to another, who may act as himself or as the lender."""
