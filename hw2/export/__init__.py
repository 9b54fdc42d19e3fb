"""Files that classify pictures without hw2; each is compared with prediction before it is kept."""
