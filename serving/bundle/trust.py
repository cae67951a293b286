"""Opening a model file without letting it choose what runs.

A pickle is a program: it names classes and functions, has them called, and sets what it likes on
what came of it. Here it gets an interpreter that knows only what a model is made of. The names
stand one by one in `trusted_names.json`, made by fitting every supported estimator. A class is made
empty and given attributes; what else has to be called is called by `serving.bundle.rebuilding` and
the learners, which look at the arguments first. A name by itself is no value: until it is called it
stands for nothing, so no attribute and no container can hold a function or a class.

The digest that is checked before still counts: this is the second lock, not the only one.
"""

import pickle
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from serving.bundle import learners
from serving.bundle.bounded_file import BoundedFile
from serving.bundle.name_list import NameKind, TrustedName, trusted_class, trusted_names
from serving.bundle.opcodes import OPCODES
from serving.bundle.rebuilding import set_attributes, trusted_parts
from serving.bundle.refused_bundle import BundleRefusedError, quotable, require
from serving.bundle.trusted_parts import Function, QualifiedName, Rebuilder

_INTEGERS = {int, np.int8, np.int64}
_KEYS = {str, float, bool, bytes, type(None), np.float32, np.float64, np.str_} | _INTEGERS
"""What may be a key: their hashes cost little, run no code and cannot be made to collide."""
_LARGEST_KEY = 2**61 - 1  # from here on integers share hashes


class _Unfinished:
    """What is made when its state is known, so that nobody sees it half made."""

    def __init__(self, rebuilder: Rebuilder, arguments: tuple[Any, ...]) -> None:
        self._rebuilder, self._arguments = rebuilder, arguments
        self.whole: list[Any] = []
        """Empty, or what it has become."""

    def finished(self, state: Any) -> Any:
        """Make it, once."""
        finish = self._rebuilder.finish
        require(finish is not None and not self.whole, "a state is set twice")
        self.whole.append(finish(self._rebuilder.make(*self._arguments), state))  # type: ignore[misc]
        return self.whole[0]


class _Arguments(tuple[Any, ...]):
    """A tuple with a name in it: good for a call and for nothing else."""

    __slots__ = ()


_CALLED = (NameKind.CLASSES, NameKind.REBUILT, NameKind.ARGUMENTS)
_NO_VALUES = {TrustedName, _Unfinished, _Arguments}


def open_model(path: Path) -> Any:
    """Return the model that a file holds, or raise BundleRefusedError for what it may not do."""
    with path.open("rb") as file:
        try:
            return CheckedUnpickler(BoundedFile(file)).load()
        except BundleRefusedError:
            raise
        except Exception as error:  # whatever a file that is no model makes of itself
            raise BundleRefusedError(
                f"the model file is none that this pipeline writes ({type(error).__name__}): "
                "train again, or write it with the versions of requirements.txt"
            ) from error


_InPython: Any = vars(pickle)["_Unpickler"]  # the one whose steps can be overridden


class CheckedUnpickler(_InPython):  # type: ignore[misc] # no types come with it
    """The interpreter: every step that makes or changes a value is one of these methods."""

    # Of the class, so that opening a file asks for no module but those that the file needs.
    rebuilders: Mapping[QualifiedName, Rebuilder] = trusted_parts().rebuilders

    def __init__(self, file: Any) -> None:
        """`file` has the methods `read` and `readline`, and refuses to read beyond its end."""
        super().__init__(file)
        self._stateless: dict[int, Any] = {}
        """Instances by their id, which no state was set on yet."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name until it is called, or a type that is itself a value."""
        names, name_of_it = trusted_names(), (module, name)
        if name_of_it in names[NameKind.VALUES]:
            return trusted_class(module, name)
        if name_of_it in names[NameKind.IGNORED]:
            return None
        if name_of_it in names[NameKind.KEPT]:
            return Function(getattr(import_module(module), name))
        if any(name_of_it in names[kind] for kind in _CALLED):
            _require_library(module)
            return TrustedName(module, name)
        problem = (
            f"it names {quotable(f'{module}.{name}')}, which is not on the list of what a model "
            "may be made of"
        )
        raise BundleRefusedError(
            f"the model file is refused: {problem}; it was not written by this pipeline, or with "
            "another version of it",
            problem,
        )

    def load_stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        require(type(name) is str and type(module) is str, "a name is no text")
        self.append(self.find_class(module, name))

    def load_reduce(self) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        require(type(arguments) in {tuple, _Arguments}, "arguments are no tuple")
        self._make(called, arguments)

    def load_newobj(self) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        require(type(called) is TrustedName and type(arguments) is tuple, "a class is no class")
        if (called.module, called.name) in self.rebuilders:
            self._make(called, arguments)
            return
        require(arguments == (), f"{called.name} is made with arguments")
        listed = (called.module, called.name) in trusted_names()[NameKind.CLASSES]
        require(listed, f"{called.name} is not made like this")
        cls = trusted_class(called.module, called.name)
        made = cls.__new__(cls)
        self._stateless[id(made)] = made
        self.append(made)

    def _make(self, called: Any, arguments: tuple[Any, ...]) -> None:
        require(type(called) is TrustedName, "what is called is no name")
        rebuilder = self.rebuilders.get((called.module, called.name))
        if rebuilder is None:
            problem = f"it calls {called.module}.{called.name}"
            raise BundleRefusedError(f"the model file is refused: {problem}", problem)
        if rebuilder.finish is None:
            self.append(rebuilder.make(*_dotted(arguments)))
        else:
            self.append(_Unfinished(rebuilder, _dotted(arguments)))

    def load_build(self) -> None:
        state, whole = self.stack.pop(), self.stack[-1]
        if type(whole) is _Unfinished:
            self.stack[-1] = whole.finished(_dotted(state) if type(state) is _Arguments else state)
            return
        require(type(state) not in _NO_VALUES, "a state is no value")
        require(self._stateless.pop(id(whole), None) is not None, "a state is set twice")
        set_attributes(whole, state)

    def load_get(self, place: int) -> None:
        value = self.memo[place]
        if type(value) is _Unfinished and value.whole:
            value = value.whole[0]
        self.append(value)

    def load_binget(self) -> None:
        self.load_get(self.read(1)[0])

    def load_long_binget(self) -> None:
        self.load_get(int.from_bytes(self.read(4), "little"))

    def load_bytearray8(self) -> None:
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    def _tuple(self, items: list[Any]) -> None:
        self.append((tuple if _NO_VALUES.isdisjoint(map(type, items)) else _Arguments)(items))

    def load_tuple(self) -> None:
        self._tuple(self.pop_mark())

    def _tuple_of(self, count: int) -> None:
        require(len(self.stack) >= count, "a tuple has too few items")
        items = self.stack[-count:]
        del self.stack[-count:]
        self._tuple(items)

    def load_tuple1(self) -> None:
        self._tuple_of(1)

    def load_tuple2(self) -> None:
        self._tuple_of(2)

    def load_tuple3(self) -> None:
        self._tuple_of(3)

    def load_append(self) -> None:
        item = self.stack.pop()
        self._extend([item])

    def load_appends(self) -> None:
        self._extend(self.pop_mark())

    def _extend(self, items: list[Any]) -> None:
        _require_values(items)
        require(type(self.stack[-1]) is list, "what is appended to is no list")
        self.stack[-1].extend(items)

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def load_setitems(self) -> None:
        self._set(self.pop_mark())

    def _set(self, items: list[Any]) -> None:
        _require_keys(items[::2])
        _require_values(items[1::2])
        target = self.stack[-1]
        if type(target) is not dict:
            # The only other mappings: their keys are their attributes too.
            name = (type(target).__module__, type(target).__qualname__)
            require(name in trusted_parts().mappings, "what has keys is no dictionary")
            require(all(_is_plain(key) for key in items[::2]), "a name is none of an estimator")
        dict.update(target, zip(items[::2], items[1::2], strict=True))

    def load_additems(self) -> None:
        items = self.pop_mark()
        _require_keys(items)
        require(type(self.stack[-1]) is set, "what is added to is no set")
        self.stack[-1].update(items)

    def load_frozenset(self) -> None:
        items = self.pop_mark()
        _require_keys(items)
        self.append(frozenset(items))

    def load_stop(self) -> None:
        _require_values(self.stack[-1:])
        super().load_stop()


def _require_library(module: str) -> None:
    """Refuse a model of a library that is not here, before anything of it is imported."""
    learner = learners.learner_of_module(module)
    if learner is None or learners.is_installed(learner):
        return
    problem = f"it is a model of {learner.name}, which is not installed here"
    raise BundleRefusedError(
        f"the model file is refused: {problem}; install {learner.distribution} in the version that "
        "requirements.txt names, or serve a model of another library",
        problem,
    )


def _dotted(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        f"{one.module}.{one.name}" if type(one) is TrustedName else one for one in arguments
    )


def _is_plain(key: Any) -> bool:
    return type(key) is str and not key.startswith("__") and not hasattr(dict, key)


def _require_values(items: list[Any]) -> None:
    require(_NO_VALUES.isdisjoint(map(type, items)), "a function or a class stands as a value")


def _require_keys(items: list[Any]) -> None:
    kinds = set(map(type, items))
    require(kinds <= _KEYS, "a key is neither text nor number")
    if not _INTEGERS.isdisjoint(kinds):
        numbers = (abs(int(one)) for one in items if type(one) in _INTEGERS)
        require(max(numbers) < _LARGEST_KEY, "a key is too large a number")


CheckedUnpickler.dispatch = {
    code: getattr(CheckedUnpickler, _InPython.dispatch[code].__name__)
    for code in (getattr(pickle, opcode)[0] for opcode in OPCODES)
}
