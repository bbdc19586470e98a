"""The demo's cameras: pictures set in motion and served over RTSP."""
