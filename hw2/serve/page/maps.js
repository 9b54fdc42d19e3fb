// A channel as a map of grey pixels, with a frame around some of them.

const SIDE = 448;  // pixels of the screen

/**
 * Draws a map, from its smallest value, black, to its largest, white.
 *
 * Takes the canvas, rows of values, and the rows and columns of the frame. Returns the smallest and the largest value.
 */
export const drawMap = (canvas, values, rows, columns) => {
  const height = values.length, width = values[0].length;
  let low = Infinity, high = -Infinity;
  for (const value of values.flat().filter(Number.isFinite)) {  // a call cannot take as many numbers as a map may have
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const scale = Math.max(1, Math.floor(SIDE / Math.max(height, width)));
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  values.forEach((row, i) => row.forEach((value, j) => {
    const grey = height * width === 1 ? 128 : Math.round(255 * ((value - low) / (high - low || 1)));
    pen.fillStyle = `rgb(${grey} ${grey} ${grey})`;
    pen.fillRect(j * scale, i * scale, scale, scale);
  }));
  frame(pen, scale, rows, columns);
  return [low, high];
};

/** Frames rows and columns of a map of a scale. */
const frame = (pen, scale, rows, columns) => {
  const line = Math.max(2, pen.canvas.width / 150);
  const [top, bottom] = [Math.min(...rows), Math.max(...rows) + 1];
  const [left, right] = [Math.min(...columns), Math.max(...columns) + 1];
  const inset = scale >= 6 ? line / 2 : -line / 2;
  const box = [left * scale + inset, top * scale + inset, (right - left) * scale - 2 * inset, (bottom - top) * scale - 2 * inset];
  for (const [colour, thickness] of [["#000", line + 2], ["#ff8c1a", line]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = thickness;
    pen.strokeRect(...box);
  }
};

/** The row and column of a map, of a size, where an event points. */
export const pointed = (canvas, event, height, width) => {
  const box = canvas.getBoundingClientRect();
  const scale = Math.min(box.width / width, box.height / height);  // the map is in the middle of its box
  const row = Math.floor((event.clientY - box.top - (box.height - height * scale) / 2) / scale);
  const column = Math.floor((event.clientX - box.left - (box.width - width * scale) / 2) / scale);
  return [row, column];
};

/** The row and column of the largest value of a map, away from its edge, where padding has its say. */
export const largest = (values) => {
  const edge = (side) => Math.floor(side / 4);
  const [top, left] = [edge(values.length), edge(values[0].length)];
  let place = [top, left];
  for (let i = top; i < values.length - top; i++) {
    for (let j = left; j < values[0].length - left; j++) {
      if (values[i][j] > values[place[0]][place[1]]) place = [i, j];
    }
  }
  return place;
};
