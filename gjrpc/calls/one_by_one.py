"""Converts the arguments of a call one by one.

Owns the slow path of `binding`, for calls to which the fast path does not apply, or for which it has failed: each argument that
does not fit is named, together with those that are missing or unknown. It knows the parameters and their types, and no method.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from gjrpc.calls import argument_errors
from gjrpc.calls.argument_errors import Fault
from gjrpc.calls.converters import Convert, Mismatch, convert_together, from_value
from gjrpc.calls.forms import Form
from gjrpc.calls.parameters import Parameters

_MANY = 16  # from so many on, arguments of `*args` or `**kwargs` are converted together


class OneByOne:
    """Converts the arguments of one callable, each on its own.

    Args:
        parameters: what can be given.
        forms: how the value of each parameter is read, by its label.
        nameable: names of parameters that can be given by name.
    """

    __slots__ = ("_forms", "_nameable", "_parameters")

    def __init__(self, parameters: Parameters, forms: Mapping[str, Form], nameable: Collection[str]) -> None:
        self._parameters = parameters
        self._forms = forms
        self._nameable = nameable

    def positional(self, values: Sequence[Any], convert: Convert) -> list[Any]:
        """Convert arguments that were given by position.

        Raises:
            InvalidArguments: names each that does not fit.
        """
        star, first = self._parameters.star, len(self._parameters.positional)
        faults = self._parameters.check_positions(len(values))
        rest = self._together(star, values[first:], lambda index: f"{star}[{index}]", convert, faults)
        if rest is not None:
            return [*self.positional(values[:first], convert), *rest]
        labels = [(name, name) for name in self._parameters.positional[: len(values)]]
        labels += [(f"{star}[{index}]", star) for index in range(len(values) - len(labels)) if star]
        return self._each(zip(labels, values, strict=False), convert, faults)

    def named(self, values: Mapping[str, Any], convert: Convert) -> dict[str, Any]:
        """Convert arguments that were given by name.

        Raises:
            InvalidArguments: names each that does not fit.
        """
        faults = self._parameters.check_names(values.keys())
        further = {name: value for name, value in values.items() if name not in self._nameable}
        rest = self._together(self._parameters.double_star, further.values(), list(further).__getitem__, convert, faults)
        if rest is not None:
            named = self.named({name: value for name, value in values.items() if name not in further}, convert)
            return {**named, **dict(zip(further, rest, strict=True))}
        labels = [(name, name if name in self._nameable else self._parameters.double_star) for name in values]
        known = [((name, label), values[name]) for name, label in labels if label is not None]
        converted = self._each(known, convert, faults)
        return {name: value for ((name, _), _), value in zip(known, converted, strict=True)}

    def _each(self, given: Iterable[tuple[tuple[str, str], Any]], convert: Convert, faults: list[Fault]) -> list[Any]:
        """Convert arguments, given with their names and the labels of their parameters; `faults` are those already known."""
        converted = []
        for (name, label), value in given:
            try:
                converted.append(convert(name, self._forms[label], value))
            except Mismatch as mismatch:
                faults.append(mismatch.fault)
                if len(faults) > argument_errors.MOST:
                    break
        if faults:
            raise argument_errors.invalid_arguments(faults)
        return converted

    def _together(
        self,
        label: str | None,
        values: Collection[Any],
        name_of: Callable[[int], str],
        convert: Convert,
        faults: list[Fault],
    ) -> list[Any] | None:
        """Convert the many values of `*args` or `**kwargs` in one step, or return None if they are few or need a closer look.

        Only the first one that does not fit is reported.
        """
        if label is None or convert is not from_value or len(values) <= _MANY:
            return None
        if faults:
            raise argument_errors.invalid_arguments(faults)
        several = list(values)
        converted, wrong = convert_together(self._forms[label], several)
        if wrong is not None:
            self._each([((name_of(wrong), label), several[wrong])], convert, faults)
        return converted
