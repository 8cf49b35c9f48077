"""The register of the ways to prove a sample alive."""

KINDS = {}


def kind(name):
    def keep(function):
        KINDS[name] = function
        return function

    return keep
