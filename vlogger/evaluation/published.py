"""What the papers print, to be read beside our numbers. Not comparable unless it says so: other clips, other
detectors, other networks; published tables of this field disagree by large factors among themselves."""

from vlogger.evaluation.summary import Table

VLOGGER = "VLOGGER (arXiv 2403.08764)"
EMO = "EMO (arXiv 2402.17485)"

TABLE_4 = ("FID", "CPBD", "NIQE", "LSE-D", "LME [mm]", "Expression", "Head Err.", "ArcFace", "Jitter")
HDTF = {
    "ground truth": (0, 0.562, 6.31, 7.79, 0, 0.401, 0, 0, 5.19),
    "MakeItTalk": (22.63, 0.428, 6.65, 8.30, 3.26, 0.364, 0.911, 0.828, 6.21),
    "Audio2Head": (19.58, 0.512, 6.41, 7.55, 3.08, 0.415, 0.896, 1.92, 6.15),
    "Wang et al.": (21.23, 0.428, 7.71, 8.04, 4.48, 0.365, 1.37, 2.52, 6.46),
    "SadTalker": (19.44, 0.520, 6.48, 7.73, 3.01, 0.287, 0.880, 0.874, 5.51),
    "StyleTalk": (34.16, 0.472, 6.47, 7.87, 3.79, 0.416, 1.14, 0.692, 4.34),
    "VLOGGER": (18.98, 0.621, 5.92, 8.10, 3.05, 0.397, 0.877, 0.759, 5.05),
    "VLOGGER, best of 8": (None, 0.634, 5.44, 7.04, 2.84, 0.448, 0.800, 0.677, 4.58),
}
TABLE_3 = ("PSNR face", "PSNR body", "PSNR hands", "PSNR full", "SSIM", "LPIPS", "L1 full")
MENTOR = {
    "2D keypoints": (20.5, 17.9, 17.8, 19.8, 0.702, 0.138, 0.0564),
    "dense body": (20.4, 18.3, 18.2, 20.1, 0.719, 0.128, 0.0548),
    "+ warped image": (21.6, 19.3, 19.1, 20.7, 0.722, 0.113, 0.0496),
    "+ training schedule": (22.2, 20.2, 20.0, 21.6, 0.76, 0.095, 0.0447),
}
EMO_1 = ("FID", "SyncNet (LSE-C)", "F-SIM x 100", "FVD", "E-FID")
EMO_HDTF = {
    "ground truth": (None, 7.3, 77.44, None, None),
    "Wav2Lip": (9.38, 5.79, 80.34, 407.93, 0.693),
    "SadTalker": (10.31, 4.82, 84.56, 214.98, 0.503),
    "DreamTalk": (58.80, 3.43, 67.87, 619.05, 2.257),
    "MakeItTalk": (21.73, 2.85, 76.91, 350.96, 1.072),
    "EMO": (8.76, 3.89, 78.96, 67.66, 0.116),
}
EMO_SPEEDS = {
    "no control": (1.365, 1.002, 0.134),
    "speed 0.1": (0.878, 0.357, 0.046),
    "speed 0.7": (1.001, 0.454, 0.054),
    "speed 1.3": (1.162, 0.550, 0.057),
    "speed 1.9": (1.246, 0.657, 0.058),
}
SPEEDS = {
    "SadTalker (as measured by Teller)": 18.9,
    "AniPortrait (Teller)": 29.4,
    "Hallo (Teller)": 20.9,
    "EchoMimic (Teller)": 31.1,
    "Hallo3 (RAP, calculated)": 156.0,
    "V-Express (its README, V100, calculated)": 84.0,
    "StableAvatar 1.3B (its README, 4090, calculated)": 36.0,
    "EMO (A100, calculated)": 45.0,
}


def tables() -> list[Table]:
    """As printed, with what keeps them apart from ours."""
    table = "not comparable with ours"
    return [
        printed(
            f"{VLOGGER} Table 4, HDTF", f"{table}: HDTF; undefined LME, jitter and ArcFace variants.", TABLE_4, HDTF
        ),
        printed(f"{VLOGGER} Table 3, MENTOR", f"{table}: other clips, 128 pixels or more not stated.", TABLE_3, MENTOR),
        printed(f"{EMO} Table 1, HDTF", f"{table}: HDTF, 512 pixels; F-SIM's network is not stated.", EMO_1, EMO_HDTF),
        printed(
            f"{EMO} Table 2, head velocity",
            f"{table}: its unit is not stated; ratios may be compared.",
            ("mean", "variance within a clip", "variance of the clips' means"),
            EMO_SPEEDS,
        ),
        printed(
            "Speed of others",
            "Not comparable with ours: graphics cards against one processor core, other sizes.",
            ("seconds per second",),
            {name: (value,) for name, value in SPEEDS.items()},
        ),
    ]


def printed(title: str, note: str, columns: tuple[str, ...], rows: dict[str, tuple]) -> Table:
    cells = {name: ["" if value is None else f"{value:g}" for value in values] for name, values in rows.items()}
    return Table(title, note, columns, list(cells.items()))
