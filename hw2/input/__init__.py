"""Pictures and labels as `tf.data` batches; knows nothing of models, training or settings."""
