"""Bounds on the files and the settings of a model or adapter folder. Values are ours unless a source is named.

Each bound lies well above every model that transformers knows, and well below what fills the memory or takes minutes.
"""

from __future__ import annotations

KB, MB, GB = 1 << 10, 1 << 20, 1 << 30

# Files. The largest known: a config with 21,000 labels 1 MB, tokenizer.json 33 MB (Gemma 3), a chat template 30 kB, the
# index of a model with 90,000 tensors 10 MB.
CONFIG_BYTES = 4 * MB
TEMPLATE_BYTES = MB
INDEX_BYTES = 32 * MB
TOKENIZER_BYTES = 128 * MB
HEADER_BYTES = 32 * MB  # of a safetensors file; the format itself allows 100 MB
FOLDER_ENTRIES = 10_000  # listing more takes long; sharded models have fewer than 500 files
# A file of at least this size whose data take less than a quarter of it on disk consists of holes. Reading it for its
# digest would take hours; real weights cannot be compressed that far.
HOLE_BYTES, HOLE_SHARE = GB, 0.25

# JSON. Known configs are 6 levels deep; libraries walk them with recursive functions.
JSON_DEPTH = 32
JSON_VALUES = 200_000  # an added token has 7 values; the largest known config of a tokenizer has 20,000
INDEX_VALUES = 2_000_000  # of an index or a header: 100,000 tensors, with 8 values each in a header

TOKEN_CHARACTERS = 4_096  # of one token; the largest known ones are runs of 512 characters
ADDED_TOKENS = 20_000  # of a tokenizer; the largest known has 6,415. transformers takes 0.1 s for 1,000 of them

# config.json. The largest known: 126 layers, 128 heads, 512 experts (61 layers x 384 of them), width 53,248,
# a vocabulary of 1,024,000 tokens.
LAYERS = 512
HEADS = 1_024
EXPERTS = 2_048
LAYERS_TIMES_EXPERTS = 65_536
LAYERS_WITHOUT_TENSORS = 128  # configs name layers that a model does not have, such as the last ones of a window
WIDTH = 262_144
VOCABULARY = 1 << 21
COUNT = 65_536  # other fields that count something: num_..., n_...
NUMBER = 10**12  # all other fields, such as rope_theta
# Numbers in the model's tensors that config.json implies, compared with those in its files. More than these are
# made up when the model is built. Tied heads and quantised weights explain a factor of about 2 and 8.
IMPLIED_FACTOR, IMPLIED_SLACK = 2, 1 << 22
IMPLIED_BUFFER_BYTES = 256 * MB  # tables that are computed when the model is built; rotary tables have kilobytes

# Processors. The largest known: sides of 2,304 pixels, 16.8 million pixels at most and 65,536 at least, 40 tiles,
# 10,000 patches an image.
SIDE = 8_192
MOST_PIXELS = 1 << 26
LEAST_PIXELS = 1 << 22
TILES = 256
PATCHES_LISTED = 4_096  # of Kosmos-2.5; others list all grids of so many tiles, which takes its square in steps
PATCHES = 1 << 17

# Adapters. The largest known: rank 1,024, a list of 6,000 modules, a pattern of 700 characters. peft compares each name
# and each pattern with each module of the model.
RANK = 8_192
MODULES_LISTED = 10_000
MODULES_SAVED = 100
PATTERN_CHARACTERS = 20_000
PATTERNS = 500  # Python keeps 512 compiled patterns; with more, each comparison would compile its pattern again
TOKENS_LISTED = 100_000
# Numbers that LoRA adds, compared with those in the adapter's file: peft fills the memory before it compares.
ADAPTER_FACTOR, ADAPTER_SLACK = 2, 1 << 20

# The child process that runs a model's template, tokenizer and patterns. Known templates take 1 ms, tokenizers 0.7 s
# and 0.4 GB, patterns 10 ms.
CHILD_BYTES = int(1.5 * GB)
CHILD_SECONDS = 18.0  # by the clock, whatever it does
TEMPLATE_SECONDS = 3  # of the processor
TOKENIZER_SECONDS = 10
PATTERN_SECONDS = 3
PROMPT_CHARACTERS = 1 << 20  # of a rendered template without the sample's texts; known ones have 2,000
REPLY_BYTES = 32 * MB
