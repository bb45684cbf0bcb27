"""Package metadata. Exact versions of everything below these are in constraints.txt.

jobs/, udfs/, state_schemas/, conf/ and java/ are linked into tillstream/, so a wheel holds one package.
"""

from pathlib import Path

from setuptools import find_namespace_packages, setup

DATA = ("json", "jsonl", "yaml", "properties", "bin", "csv", "xml", "java", "txt")

for linked in ("jobs", "udfs", "state_schemas", "resources/conf", "resources/java"):
    if not (Path(__file__).parent / "tillstream" / linked).is_dir():
        raise SystemExit(
            f"tillstream/{linked} is a link that came out of git or a zip as a file, so the package would "
            "be empty: clone with `git -c core.symlinks=true clone`, or unpack the source distribution"
        )

setup(
    name="tillstream",
    version="0.1.0",
    description="Till transactions to loyalty balances, archives and live views, on Apache Flink.",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.13",
    packages=find_namespace_packages(include=["tillstream", "tillstream.*"]),
    package_data={"": [f"*.{kind}" for kind in DATA] + ["py.typed"]},
    install_requires=[
        'apache-flink==1.20.5; python_version < "3.12"',
        'apache-flink>=2.2.1,<2.4; python_version >= "3.12"',
        "aws-msk-iam-sasl-signer-python>=1.0.2",
        "boto3>=1.34",
        "click>=8.1",
        "confluent-kafka>=2.5",
        "mmh3>=5",
        "moto[server]==5.2.5",
        "msgspec>=0.18",
        "orjson>=3.10",
        "psutil>=5.9",
        "pyarrow>=11",
        "pyyaml>=6",
        "requests>=2.31",
        "rich>=13",
        "tzdata>=2024.1",
    ],
    extras_require={
        "model": ["lightgbm>=4"],
        "dev": [
            "build>=1",
            "duckdb>=1",
            "hypothesis>=6.100",
            "jsonschema>=4.20",
            "lightgbm>=4",
            "mypy>=1.10",
            "py-spy>=0.4",
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "ruff>=0.5",
            "types-PyYAML>=6",
            "types-requests>=2.31",
            "types-psutil>=5.9",
        ],
    },
    entry_points={"console_scripts": ["tillstream=tillstream.cli:main"]},
)
