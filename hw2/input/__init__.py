"""Images and labels as `tf.data` batches; independent of models, training and settings."""
