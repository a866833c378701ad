from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from featflow.data.token_text import quoted, texts, texts_with_bytes
from tests.interpret.planted import TEXTS, tokenizer


def test_a_vocabulary_of_words():
    assert texts(tokenizer()) == texts_with_bytes(tokenizer()) == TEXTS


def test_tokens_of_bytes_stand_as_they_do_inside_a_text():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {character: i for i, character in enumerate(alphabet)}
    merges = [("Ġ", "="), ("Ġ=", "="), ("Ã", "©"), ("ä", "¸")]
    for first, second in merges:
        words[first + second] = len(words)
    made = Tokenizer(models.BPE(words, merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(["<s>"])
    found = texts_with_bytes(made)
    assert len(found) == made.get_vocab_size()
    text = "x ==é\n\t中<s>"
    ids = made.encode(text).ids
    assert [found[i] for i in ids] == ["x", " ==", "é", "\n", "\t", "\\xe4\\xb8", "\\xad", "<s>"]
    whole = [i for i in ids if not found[i].startswith("\\x")]
    assert "".join(found[i] for i in whole) == "x ==é\n\t<s>"


def test_tokens_of_sentencepiece_keep_their_space():
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("▁", -1.0), ("a", -1.0), ("▁the", -1.0), ("t", -1.0)]
    pieces += [(f"<0x{byte:02X}>", -9.0) for byte in range(256)]
    made = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    made.add_special_tokens(["<s>"])
    found = dict(zip((piece for piece, _ in pieces), texts_with_bytes(made), strict=False))
    assert (found["▁the"], found["t"], found["<s>"]) == (" the", "t", "<s>")
    assert found["▁"] == " "  # decoded alone it would be nothing
    assert (found["<0x0A>"], found["<0xE4>"]) == ("\n", "\\xe4")


def test_quotes():
    assert quoted(" =") == "' ='"
    assert quoted("\n\t\x00é中") == "'\\n\\t\\x00é中'"
    assert quoted("x" * 40) == f"'{'x' * 40}'" and quoted("x" * 10**5) == f"'{'x' * 39}…'"
    assert quoted("\u202egnp") == "'\\u202egnp'"  # what would turn the text around is spelt out
