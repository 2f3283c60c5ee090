from custom_components.barnabeenet.providers import base
from custom_components.barnabeenet.providers.base import Meter, ProviderError, Usage, tokens


def test_what_the_vendor_told_is_taken_as_it_is() -> None:
    told = Usage(100, 40, 7, 0.001)

    assert Meter(sent=True, prompt_chars=4000, received_chars=80, told=told).usage() == told


def test_what_nobody_told_is_estimated_and_marked() -> None:
    assert Meter(sent=True, prompt_chars=401, received_chars=80).usage() == Usage(101, 0, 20, estimated=True)


def test_a_request_that_never_left_used_nothing() -> None:
    assert Meter(prompt_chars=400).usage() == Usage()


def test_a_single_character_is_a_token() -> None:
    assert (tokens(0), tokens(1), tokens(4), tokens(5)) == (0, 1, 1, 2)


def test_every_kind_of_error_has_an_outcome_of_its_own() -> None:
    kinds = [kind for kind in vars(base).values() if isinstance(kind, type) and issubclass(kind, ProviderError)]

    assert len({kind.outcome for kind in kinds}) == len(kinds) == 9
