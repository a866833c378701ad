"""SentencePiece .model files as tokenizers of the `tokenizers` library, with the same ids.

transformers' converter makes the model and the decoder. What it leaves to each of its tokenizer
classes is taken from the file here: the prefix, white space, and which pieces text cannot spell.

The ids are those of the `sentencepiece` library, except that

- text that spells a user-defined symbol gets the file's prefix (`▁`) behind the symbol too;
- in a unigram model no piece crosses the first character of text that spells a special or byte
  piece (`<s>`, `<0x0A>`), which both libraries read as text;
- in a unigram model, where two cuts of a long text score alike, rounding decides;
- under normalisation rules (nmt_nfkc, say) a second combining mark on a letter may be lost:
  `tokenizers` applies the rules to a whole grapheme.
"""

import re
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
)

UNIGRAM, BPE = 1, 2
"""`model_type` in the file; the others (word, char) cut no text by themselves."""
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""`type` of a piece in the file."""
SPACE = "▁"
"""What SentencePiece writes for a space."""


def convert(path: Path) -> Tokenizer:
    """The tokenizer of a SentencePiece model.

    Raises:
        ValueError: when the file is no such model, or of a kind that cannot be converted.
    """
    proto = _read(path)
    tokenizer = _model(proto)
    tokenizer.normalizer = _normalizer(proto)
    if proto.trainer_spec.model_type == UNIGRAM:
        tokenizer.pre_tokenizer = _unspelt(proto)
    normalized = proto.normalizer_spec
    if normalized.add_dummy_prefix or normalized.remove_extra_whitespaces:
        steps = [tokenizer.decoder, decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        tokenizer.decoder = decoders.Sequence(steps)
    tokenizer.add_tokens(
        [
            AddedToken(piece.piece, normalized=False, special=piece.type != USER_DEFINED)
            for piece in proto.pieces
            if piece.type in (UNKNOWN, CONTROL, USER_DEFINED)
        ]
    )
    if (start := proto.trainer_spec.bos_id) >= 0:
        token = proto.pieces[start].piece
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{token} $A", pair=f"{token} $A {token} $B", special_tokens=[(token, start)]
        )
    return tokenizer


def _read(path: Path) -> Any:
    from google.protobuf.message import DecodeError
    from transformers.convert_slow_tokenizer import import_protobuf

    proto = import_protobuf().ModelProto()
    try:
        proto.ParseFromString(Path(path).read_bytes())
    except DecodeError as error:
        raise ValueError("it is no SentencePiece model, or a truncated one") from error
    if not proto.pieces:
        raise ValueError("it is no SentencePiece model: it has no pieces")
    if proto.trainer_spec.model_type not in (UNIGRAM, BPE):
        raise ValueError("only SentencePiece models of type unigram and bpe can be used")
    normalized = proto.normalizer_spec
    if proto.trainer_spec.treat_whitespace_as_suffix or not normalized.escape_whitespaces:
        raise ValueError("it writes white space as a suffix, or not at all: no conversion is known")
    return proto


def _model(proto: Any) -> Tokenizer:
    from transformers.convert_slow_tokenizer import SpmConverter, generate_merges

    pieces = [(piece.piece, piece.score) for piece in proto.pieces]
    if proto.trainer_spec.model_type == UNIGRAM:
        return SpmConverter.build_tokenizer_from_spm_proto(proto, pieces)
    # Text must not be merged into a piece that only a program may set, `<s>` from `<` and `s>`.
    closed = [piece.piece for piece in proto.pieces if piece.type != NORMAL]
    vocabulary = {piece: i for i, (piece, _) in enumerate(pieces)}
    merges = generate_merges(vocabulary, dict(pieces), skip_tokens=closed)
    return SpmConverter.build_tokenizer_from_spm_proto(proto, vocabulary, merges)


def _normalizer(proto: Any) -> normalizers.Normalizer:
    """In SentencePiece's order: the file's rules, spaces, the prefix, and spaces made visible."""
    spec = proto.normalizer_spec
    steps: list[normalizers.Normalizer] = []
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        steps.append(normalizers.Replace(Regex(rf"\A +|[ {SPACE}]+\z"), ""))
        steps.append(normalizers.Replace(Regex(" {2,}"), " "))
    if spec.add_dummy_prefix:
        steps.append(normalizers.Prepend(SPACE))
    steps.append(normalizers.Replace(" ", SPACE))
    return normalizers.Sequence(steps)


def _unspelt(proto: Any) -> pre_tokenizers.PreTokenizer:
    """Cut text behind the first character of what spells a piece that only a program may set.

    (A unigram model would take the piece; in a BPE it is enough that no merge makes it.)
    """
    closed = [piece.piece for piece in proto.pieces if piece.type in (UNKNOWN, CONTROL)]
    patterns = [re.escape(p[0]) + f"(?={re.escape(p[1:])})" for p in closed if len(p) > 1]
    if proto.trainer_spec.byte_fallback:
        patterns.append("<(?=0x[0-9A-F]{2}>)")
    return pre_tokenizers.Split(Regex("|".join(patterns)), "merged_with_previous")
