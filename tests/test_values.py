import importlib
import pkgutil
from typing import ClassVar

import openclaw_channel_octo
from openclaw_channel_octo.values import SecretStruct


class Login(SecretStruct, frozen=True, kw_only=True):
    HIDDEN: ClassVar = frozenset({"token"})

    uid: str
    token: str = ""


def test_a_hidden_field_is_shown_by_no_kind_of_repr() -> None:
    login = Login(uid="ann", token="planted-secret")
    assert repr(login) == str(login) == f"{login}" == "Login(uid='ann')"
    assert login.__rich_repr__() == [("uid", "ann")]


def test_a_hidden_field_counts_where_values_are_compared() -> None:
    assert Login(uid="ann", token="a") == Login(uid="ann", token="a") != Login(uid="ann", token="b")


def test_every_hidden_name_is_a_field() -> None:
    for module in pkgutil.walk_packages(openclaw_channel_octo.__path__, "openclaw_channel_octo."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    assert len(SecretStruct.__subclasses__()) > 5
    for each in SecretStruct.__subclasses__():
        assert set(each.__struct_fields__) >= each.HIDDEN, each
