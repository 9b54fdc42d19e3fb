// What is being looked at.

/** The answer of GET /layers is `model`; the rest is the place in the network. */
export const at = { model: null, picture: null, layer: null, channel: 0, row: 0, column: 0, most: 8 };

/** The path of a channel in the API; of the one that is looked at, if not said otherwise. */
export const pathOf = (layer = at.layer, channel = at.channel) => `/pictures/${at.picture}/layers/${layer}/channels/${channel}`;

/** A layer as the page calls it. */
export const titleOf = (layer) => layer.name.startsWith(layer.kind) || layer.number === 0 ? layer.name : `${layer.name}, ${layer.kind}`;
