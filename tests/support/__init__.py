"""What tests share: builders of sales and shops, harnesses, the stack's shop."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
