"""Writes a checkpoint of Pythia-160m's shape with random weights, and random rows: python make_checkpoint.py FOLDER"""

import os
import sys

import numpy

import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

torch.manual_seed(0)
config = GPTNeoXConfig(
    vocab_size=50304,
    hidden_size=768,
    num_hidden_layers=12,
    num_attention_heads=12,
    intermediate_size=3072,
    max_position_embeddings=2048,
    tie_word_embeddings=False,
)
GPTNeoXForCausalLM(config).save_pretrained(sys.argv[1])
rows = numpy.random.default_rng(0).integers(0, config.vocab_size, (256, 64))
numpy.save(os.path.join(sys.argv[1], "samples.npy"), rows.astype(numpy.int32))
