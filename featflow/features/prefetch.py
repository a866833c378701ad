"""Asking for memory before it is needed, from inside a numba kernel."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LINE = 16
"""Numbers of four bytes in a cache line."""

READ, KEEP, DATA = 0, 3, 1
"""llvm.prefetch: for reading, to be kept in every cache, data rather than instructions."""


def _prefetch(typing_context, array, index):

    def generate(context, builder, signature, arguments):
        pointer = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(pointer, [arguments[1]]), cgutils.voidptr_t)
        hints = [ir.Constant(ir.IntType(32), hint) for hint in (READ, KEEP, DATA)]
        kind = ir.FunctionType(ir.VoidType(), [place.type, *(hint.type for hint in hints)])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [place, *hints])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


prefetch: Any = intrinsic(_prefetch)
"""prefetch(array, index) fetches the cache line of array[index]; out of bounds it does no harm.

See https://llvm.org/docs/LangRef.html#llvm-prefetch-intrinsic.
"""
