# Token ids and decoded texts by Hugging Face's tokenizers. Arguments: a file of JSON with `tokenizers` (a tokenizer.json,
# or a folder with vocab.json and merges.txt) and `texts`; prints { name: [[ids, decoded], ...] }.
import json
import os
import sys

from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE


def load(place):
    if not os.path.isdir(place):
        return Tokenizer.from_file(place)
    tokenizer = Tokenizer(BPE.from_file(os.path.join(place, "vocab.json"), os.path.join(place, "merges.txt")))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    return tokenizer


with open(sys.argv[1], encoding="utf-8") as file:
    work = json.load(file)
result = {}
for name, place in work["tokenizers"].items():
    tokenizer = load(place)
    encoded = tokenizer.encode_batch(work["texts"], add_special_tokens=False)
    result[name] = [[e.ids, tokenizer.decode(e.ids, skip_special_tokens=False)] for e in encoded]
print(json.dumps(result))
