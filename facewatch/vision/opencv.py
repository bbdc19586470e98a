"""OpenCV, set up once: silent, and on the caller's thread only.

Its own threads wait by spinning, which costs more than our small pictures gain, and its messages
on stderr say nothing that our errors do not.
"""

import cv2 as cv2

cv2.setNumThreads(1)
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
