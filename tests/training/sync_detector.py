"""Finds what would make the host wait for a GPU, on a machine without one."""

from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

# These copy to the host, or give a tensor whose shape depends on values.
_WAITING_METHODS = {"item", "cpu", "tolist", "numpy", "__bool__", "__float__", "__int__", "__index__"}
_WAITING_OPERATORS = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "is_nonzero", "equal"}


class HostWaitError(AssertionError):
    """Something looked at the value of a tensor."""


class _Methods(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in _WAITING_METHODS:
            raise HostWaitError(func.__name__)
        return func(*args, **(kwargs or {}))


class NoHostWaits(TorchDispatchMode):
    """Raises where an operation would wait for the device."""

    def __enter__(self) -> "NoHostWaits":
        self._methods = _Methods()
        self._methods.__enter__()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._methods.__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        boolean_index = name in {"index", "index_put_"} and any(
            entry is not None and entry.dtype == torch.bool for entry in args[1]
        )
        if name in _WAITING_OPERATORS or boolean_index:
            raise HostWaitError(name)
        return func(*args, **(kwargs or {}))
