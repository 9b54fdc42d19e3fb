"""Trains a model on one device.

    python train.py --flagfile=config.cfg
    python train.py --train_data_path=FOLDER_OF_CLASS_FOLDERS --log_path=runs/mine

`--help` lists the flags. Called again, it goes on from the run folder's last checkpoint.
"""

from hw2.commands import launch


def main(config):
    from hw2.jobs import train  # imports TensorFlow, so only once the flags are read

    train.train(config)


if __name__ == "__main__":
    launch.run(main)
