"""What insightface finds: run inside .venvs/insightface, prints nothing, writes one .npz.

Usage: insightface_faces.py ROOT OUT WIDTHxHEIGHT PICTURE...   (models in ROOT/models/oracle)
"""

import sys

import cv2
import numpy as np
from insightface.app import FaceAnalysis
from insightface.utils import face_align


def main(root: str, out: str, canvas: str, *pictures: str) -> None:
    width, height = map(int, canvas.split("x"))
    analysis = FaceAnalysis("oracle", root=root, providers=["CPUExecutionProvider"])
    analysis.prepare(ctx_id=-1, det_thresh=0.5, det_size=(width, height))
    found = {}
    for number, path in enumerate(pictures):
        picture = cv2.imread(path)
        faces = analysis.get(picture)
        found[f"{number}_boxes"] = np.array([face.bbox for face in faces])
        found[f"{number}_scores"] = np.array([face.det_score for face in faces])
        found[f"{number}_landmarks"] = np.array([face.kps for face in faces])
        found[f"{number}_crops"] = np.array(
            [face_align.norm_crop(picture, face.kps) for face in faces]
        )
        found[f"{number}_templates"] = np.array([face.normed_embedding for face in faces])
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
