"""Keras models through tf2onnx: writes ONNX files with TensorFlow's own loss and gradients beside them.

    python scripts/model-fixtures/keras_files.py FOLDER

Needs tensorflow-cpu and tf2onnx (2.21 and 1.17 were used). `elsewhere.py FOLDER` makes fixtures of what it writes.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from keras import layers

from command_line import write_chosen


def gelu(x):
    """The tanh form: tf2onnx has no Erfc."""
    return keras.activations.gelu(x, approximate=True)


def mlp():
    inputs = keras.Input((6,))
    x = layers.Dense(12, activation=gelu)(inputs)
    x = layers.LayerNormalization()(x)
    x = layers.Dense(10, activation="swish")(x) + layers.Dense(10, activation="elu")(x)
    return keras.Model(inputs, layers.Dense(5)(layers.Dropout(0.5)(x)))


def cnn():
    inputs = keras.Input((18, 18, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.MaxPooling2D(2)(x)
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    y = layers.Conv2D(8, 1)(layers.LeakyReLU()(layers.BatchNormalization()(y)))
    x = layers.Add()([x, y])
    x = layers.AveragePooling2D(2, padding="same")(layers.PReLU(shared_axes=[1, 2])(x))
    x = layers.Conv2DTranspose(6, 3, strides=2, padding="same")(layers.ZeroPadding2D(1)(x))
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling2D()(layers.Activation("tanh")(x))))


def lstm():
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(11, 6)(inputs)
    x = layers.Bidirectional(layers.LSTM(5, return_sequences=True))(x)
    return keras.Model(inputs, layers.Dense(5)(layers.LSTM(6)(x)))


def gru():
    inputs = keras.Input((7, 4))
    x = layers.Conv1D(6, 3, padding="causal", activation="relu")(inputs)
    x = layers.GRU(5, return_sequences=True)(x)
    return keras.Model(inputs, layers.Dense(5)(layers.GRU(6, reset_after=False)(x)))


def attention():
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(11, 8)(inputs)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True))
    x = layers.Dense(8)(layers.Dense(12, activation=gelu)(x)) + x
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalMaxPooling1D()(x)))


models = {"mlp": (mlp, 17), "cnn": (cnn, 13), "lstm": (lstm, 15), "gru": (gru, 17), "attention": (attention, 18)}


def example(model, count=3):
    generator = np.random.default_rng(7)
    shape = (count, *model.input_shape[1:])
    if model.inputs[0].dtype == "int32":
        return generator.integers(0, 11, shape).astype(np.int32)
    return (np.round(generator.standard_normal(shape) * 64) / 64).astype(np.float32)


def settle(model):
    """Weights that differ everywhere, as multiples of 1/256."""
    generator = np.random.default_rng(5)
    for weight in model.weights:
        value = np.asarray(weight)
        noise = generator.standard_normal(value.shape)
        value = 0.5 + np.abs(noise) if "variance" in weight.path else value + (0.1 if value.ndim < 2 else 0.02) * noise
        weight.assign(np.round(value * 256) / 256)


def make(name, folder):
    build, opset = models[name]
    keras.utils.set_random_seed(3)
    model = build()
    settle(model)
    values = example(model)
    targets = np.arange(len(values)) % 5

    weighting = np.round((0.5 + np.random.default_rng(9).random((len(values), 5))) * 64) / 64

    def forward(x, y):
        logits = model(x, training=False)
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)), logits

    with tf.GradientTape(persistent=True) as tape:
        loss, logits = forward(values, targets)
        square = tf.reduce_sum(tf.constant(weighting, tf.float32) * logits * logits)
    kept = {"logits": logits.numpy(), "weighting": weighting.astype(np.float32)}
    for kind, value in (("loss", loss), ("square", square)):
        kept[kind] = value.numpy()
        for weight, gradient in zip(model.trainable_variables, tape.gradient(value, model.trainable_variables)):
            kept[f"value/{weight.path}"] = np.asarray(weight)
            kept[f"{kind}/{weight.path}"] = tf.convert_to_tensor(gradient).numpy()
    kept["input/features"], kept["input/targets"] = values, targets.astype(np.int64)
    signature = [
        tf.TensorSpec((None, *values.shape[1:]), values.dtype, "features"),
        tf.TensorSpec((None,), tf.int64, "targets"),
    ]
    for kind in ("loss", "logits"):
        if kind == "loss":
            function = tf.function(lambda features, targets: dict(zip(("loss", "logits"), forward(features, targets))))
            chosen = signature
        else:
            function = tf.function(lambda features: {"logits": model(features, training=False)})
            chosen = signature[:1]
        proto, _ = tf2onnx.convert.from_function(function, chosen, opset=opset)
        (folder / f"keras-{name}.tf2onnx-{opset}{'-logits' if kind == 'logits' else ''}.onnx").write_bytes(
            proto.SerializeToString()
        )
    np.savez(folder / f"keras-{name}.npz", **kept)


if __name__ == "__main__":
    write_chosen(models, make)
