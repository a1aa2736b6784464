"""Small language (and patch) models from `transformers`, built from configurations, never downloaded."""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
)


class Logits(nn.Module):
    """A `transformers` model as a function of tensors: no cache, logits only."""

    def __init__(self, model):
        super().__init__()
        self.network = model


class Causal(Logits):
    def forward(self, tokens):
        return self.network(input_ids=tokens, use_cache=False, return_dict=True).logits


class MaskedCausal(Logits):
    def forward(self, tokens, attention_mask):
        return self.network(input_ids=tokens, attention_mask=attention_mask, use_cache=False, return_dict=True).logits


class Masked(Logits):
    def forward(self, tokens, attention_mask):
        return self.network(input_ids=tokens, attention_mask=attention_mask, return_dict=True).logits


class Patches(Logits):
    def forward(self, image):
        return self.network(pixel_values=image, return_dict=True).logits


class EncoderDecoder(Logits):
    def forward(self, tokens, answer):
        return self.network(input_ids=tokens, decoder_input_ids=answer, use_cache=False, return_dict=True).logits


vocabulary = 23


def gpt2(attention="eager", wrap=Causal):
    config = GPT2Config(
        vocab_size=vocabulary, n_positions=12, n_embd=16, n_layer=2, n_head=2,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    config._attn_implementation = attention
    return wrap(GPT2LMHeadModel(config))


def llama(attention="eager", wrap=Causal):
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=16, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    config._attn_implementation = attention
    return wrap(LlamaForCausalLM(config))


def bert(attention="eager"):
    config = BertConfig(
        vocab_size=vocabulary, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=12, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=0,
    )  # fmt: skip
    config._attn_implementation = attention
    return Masked(BertForMaskedLM(config))


def vit(attention="eager"):
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, image_size=12, patch_size=4,
        num_channels=3, num_labels=5, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    config._attn_implementation = attention
    return Patches(ViTForImageClassification(config))


def t5():
    config = T5Config(
        vocab_size=vocabulary, d_model=16, d_kv=6, d_ff=24, num_layers=1, num_decoder_layers=1, num_heads=2,
        relative_attention_num_buckets=8, relative_attention_max_distance=12, dropout_rate=0.0,
        feed_forward_proj="gated-gelu", decoder_start_token_id=0, pad_token_id=0, tie_word_embeddings=False,
    )  # fmt: skip
    config._attn_implementation = "eager"
    return EncoderDecoder(T5ForConditionalGeneration(config))


def next_token(logits, targets):
    return F.cross_entropy(logits.reshape(-1, vocabulary), targets.reshape(-1))


def masked_token(logits, targets):
    """Targets of -100 count for nothing."""
    return F.cross_entropy(logits.reshape(-1, vocabulary), targets.reshape(-1), ignore_index=-100)


def tokens(batch, length, seed):
    return torch.randint(1, vocabulary, (batch, length), generator=torch.Generator().manual_seed(seed))
