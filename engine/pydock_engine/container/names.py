"""Names for containers nobody named: an adjective, and a surname of a discoverer."""

from __future__ import annotations

import re
import secrets

from ..errors import UsageError

VALID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
"""Docker's rule for container names."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ADJECTIVES = _words(
    """
    able agile airy amber ample apt ardent astute avid azure balmy bold bonny brave breezy
    brisk bubbly calm candid careful cheery civil clear clever cosy crisp curious dainty
    daring deft direct dulcet eager early earnest easy elated exact fair fearless fervent
    festive fine fleet fluent fond frank fresh frugal gallant genial gentle gifted glad
    gleaming golden grand handy hardy hearty honest humble ideal idle jaunty jolly jovial
    just keen kind lively logical loyal lucid lucky lunar mellow merry mild mindful modest
    neat nimble noble novel orderly patient peaceful placid plucky polite prime proud
    prudent quick quiet rapid ready robust rosy serene sharp silent silver sincere sleek
    smart snug sober solar solid spry steady stellar sturdy subtle sunny swift tender
    thrifty tidy tranquil trusty upbeat valiant vivid warm wise witty zesty
    """
)

SURNAMES = _words(
    """
    abel agnesi airy alhazen anning apgar archimedes avicenna babbage bacon banach banneker
    bernoulli blackwell bohr boole bose boyle brahe brahmagupta burnell cannon cantor carson
    carver cavendish celsius chandrasekhar chatelet church copernicus coulomb curie cuvier
    dalton darwin descartes dijkstra dirac easley eddington edison einstein elion
    eratosthenes erdos euclid euler faraday fermat fermi feynman fibonacci fleming foucault
    fourier franklin galileo galois gauss germain gibbs goeppert goodall granville halley
    hamilton harvey hawking heisenberg herschel hertz heyrovsky hilbert hipparchus hodgkin
    hooke hopper hubble huygens hypatia jacobi jemison jenner joule kelvin kepler khayyam
    khorana kirch kovalevskaya kuhn lagrange lamarr laplace lavoisier leavitt leibniz
    linnaeus lovelace mach maxwell mayer mcclintock meitner mendel mendeleev merian
    mirzakhani mitchell montalcini morse nash newton nightingale nobel noether ohm
    oppenheimer pascal pasteur pauli perlman planck poincare pythagoras raman ramanujan
    riemann ritchie roentgen rubin rutherford sagan salam shannon snell somerville stokes
    swirles tao tesla thales torricelli turing villani volta wallace watt weil wing wozniak
    wu yalow yonath zeno zuse
    """
)


def random_name(attempt: int = 0) -> str:
    """`adjective_surname`; with a number from the fourth attempt on: free ones get rare."""
    name = f"{secrets.choice(ADJECTIVES)}_{secrets.choice(SURNAMES)}"
    return name if attempt < 3 else f"{name}{secrets.randbelow(10 ** min(attempt, 9))}"


def check_name(name: str) -> str:
    """`name` without docker's leading slash. Raises UsageError when it cannot be a name."""
    bare = name.removeprefix("/")
    if not VALID.fullmatch(bare) or len(bare) > 200:
        raise UsageError(
            f"invalid container name {name!r}",
            way_out="two or more of the characters a-z A-Z 0-9 _ . - , a letter or digit first",
        )
    return bare
