// What is being looked at.

/** The answer of GET /layers is `model`; the rest is the place in the network. */
export const at = { model: null, picture: null, layer: null, channel: 0, row: 0, column: 0, most: 8 };

/** The path of a channel in the API; of the one that is looked at, if not said otherwise. */
export const pathOf = (layer = at.layer, channel = at.channel) => `/pictures/${at.picture}/layers/${layer}/channels/${channel}`;

/** A layer as the page calls it: by its kind, and the path of its weights or its stage. */
export const titleOf = (layer) => {
  if (layer.number === 0 || layer.name === layer.kind) return layer.name;
  const kind = layer.kind === "dense" ? "dense layer" : layer.kind;
  if (!layer.name) return `the ${kind}`;
  const unnamed = layer.name === layer.stage && at.model.layers.some((other) => other !== layer && other.stage === layer.stage);
  return unnamed ? `${kind} of ${layer.name}` : `${kind} ${layer.name}`;
};

/** A channel as a tile calls it: of a picture its colour, of the logits the class, else its number. */
export const shortOf = (layer, channel) => {
  if (layer.number === 0 && layer.channels <= 3) return layer.channels === 1 ? "grey" : ["red", "green", "blue"][channel];
  return isLast(layer) ? at.model.classes[channel] : String(channel);
};

/** A channel as a sentence calls it. */
export const channelOf = (layer, channel) => {
  const short = shortOf(layer, channel);
  if (layer.number === 0) return `the ${short} channel`;
  return isLast(layer) ? `channel ${channel} (${short})` : `channel ${short}`;
};

/** Whether a layer makes the logits, one for each class. */
const isLast = (layer) => layer.number === at.model.layers.length - 1 && layer.channels === at.model.classes.length;
