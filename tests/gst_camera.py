"""A camera that is not ours: Debian's gst-rtsp-server, run by Debian's Python.

Prints its port; serves /h264 and /hevc to admin, password "right p@ss".
"""

import sys

ENCODERS = {
    "h264": "x264enc key-int-max=10 tune=zerolatency speed-preset=ultrafast ! rtph264pay",
    "hevc": "x265enc key-int-max=10 tune=zerolatency speed-preset=ultrafast ! rtph265pay",
}


def main(method: str) -> None:
    # pytest imports this file with a Python that has no gi.
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtsp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.set_supported_methods(getattr(GstRtsp.RTSPAuthMethod, method.upper()))
    if method == "digest":
        auth.add_digest("admin", "right p@ss", token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic("admin", "right p@ss"), token)
    server.set_auth(auth)
    for name, encoder in ENCODERS.items():
        factory, rights = GstRtspServer.RTSPMediaFactory(), GstRtspServer.RTSPPermissions()
        factory.set_launch(
            "( videotestsrc is-live=true ! video/x-raw,width=640,height=360,framerate=25/1"
            f" ! {encoder} name=pay0 pt=96 )"
        )
        rights.add_permission_for_role("user", "media.factory.access", True)
        rights.add_permission_for_role("user", "media.factory.construct", True)
        factory.set_permissions(rights)
        server.get_mount_points().add_factory(f"/{name}", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(sys.argv[1])
