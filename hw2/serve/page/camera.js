// The camera: in this page where the browser allows it, else that of the phone.

import { $ } from "./elements.js";
import { trouble } from "./server.js";

/** Prepares the camera; `take` is called with each photograph, a file. */
export const startCamera = (take) => {
  const video = $("video"), dialog = $("camera");
  let asking = false;  // the browser asks the person, who may press the button once more

  $("photograph").addEventListener("click", async () => {
    if (asking) return;
    if (!navigator.mediaDevices?.getUserMedia) {
      $("capture").click();
      return;
    }
    trouble("");
    asking = true;
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      dialog.showModal();
    } catch (error) {
      trouble(`no photograph - ${error.message.toLowerCase()}; choose a picture instead`);
    } finally {
      asking = false;
    }
  });
  dialog.addEventListener("close", () => {
    for (const track of video.srcObject?.getTracks() || []) track.stop();
    video.srcObject = null;
  });
  $("cancel").addEventListener("click", () => dialog.close());
  $("shoot").addEventListener("click", () => {
    const shot = document.createElement("canvas");
    shot.width = video.videoWidth;
    shot.height = video.videoHeight;
    if (!shot.width) return;  // it has not begun yet
    shot.getContext("2d").drawImage(video, 0, 0);
    shot.toBlob((blob) => { dialog.close(); take(blob); }, "image/png");
  });
};
