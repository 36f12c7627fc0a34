"""Processors with a video part load and work for pictures without torchvision, from any layout of a model folder."""

import json

import pytest
import torch
import transformers
from transformers.utils import is_torchvision_available

from bye_core.models import processors
from bye_core.models.errors import BrokenModel, MissingPackage
from bye_core.models.packages import missing_package
from bye_core.models.processors import load_processor, without_video
from tests.models.families import lfm2_vl, llama4
from tests.models.tiny import picture, tiny_tokenizer

TEMPLATE = "{% for m in messages %}{% for c in m['content'] %}{{ c.get('text', '') }}{% endfor %}{% endfor %}"


def qwen():
    return without_video(transformers.Qwen2_5_VLProcessor)(
        image_processor=transformers.Qwen2VLImageProcessorPil(patch_size=4, min_pixels=64, max_pixels=640),
        tokenizer=tiny_tokenizer("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>", bos=None),
        chat_template=TEMPLATE,
    )


def internvl():
    names = {"start_image": "<img>", "end_image": "</img>", "context_image": "<IMG_CONTEXT>", "video": "<video>"}
    return without_video(transformers.InternVLProcessor)(
        image_processor=transformers.GotOcr2ImageProcessorPil(size={"height": 16, "width": 16}, max_patches=4),
        tokenizer=tiny_tokenizer(*names.values(), names={f"{name}_token": text for name, text in names.items()}),
        image_seq_length=4,
        chat_template=TEMPLATE,
    )


def smolvlm():
    side = {"longest_edge": 16}
    return without_video(transformers.SmolVLMProcessor)(
        image_processor=transformers.SmolVLMImageProcessorPil(size=side, max_image_size=side),
        tokenizer=tiny_tokenizer("<image>", "<fake_token_around_image>", "<global-img>"),
        video_processor=None,
        image_seq_len=4,
        chat_template=TEMPLATE,
    )


MAKERS = {"qwen": qwen, "internvl": internvl, "smolvlm": smolvlm}


@pytest.fixture(scope="module", params=list(MAKERS))
def processor(request):
    return MAKERS[request.param]()


def encode(processor):
    return processor(images=[[picture(0, 30, 20)]], text=[f"a {processor.image_token} b"], return_tensors="pt")


def earlier_layout(folder):
    """Rewrite a saved folder as transformers 4 wrote it: a file for each part, image processors called "Fast"."""
    facts = json.loads((folder / "processor_config.json").read_text())
    image = facts.pop("image_processor")
    kind = image["image_processor_type"].removesuffix("Pil").removesuffix("Fast") + "Fast"
    own = facts["processor_class"]
    preprocessor = {**image, "image_processor_type": kind, "processor_class": own}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    (folder / "video_preprocessor_config.json").write_text(
        json.dumps({"video_processor_type": "Qwen2VLVideoProcessor", "processor_class": own})
    )
    (folder / "processor_config.json").write_text(json.dumps(facts))


@pytest.mark.parametrize("layout", ["saved", "earlier"])
def test_a_saved_folder_gives_the_same_inputs(processor, layout, tmp_path):
    processor.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "processor_config.json").read_text())["processor_class"] == type(processor).__name__
    if layout == "earlier":
        earlier_layout(tmp_path)
    again = load_processor(tmp_path)
    assert isinstance(again, getattr(transformers, type(processor).__name__))
    before, after = encode(processor), encode(again)
    assert set(before) == set(after)
    # With torchvision, the folder gives its version of the image processor, which resizes with other rounding.
    near = 0.25 if is_torchvision_available() else 0
    for name in before:
        torch.testing.assert_close(after[name], before[name], atol=near, rtol=0)


def test_the_number_of_image_tokens(processor):
    inputs = encode(processor)
    tokens = int((inputs["input_ids"] == processor.image_token_id).sum())
    if "image_grid_thw" in inputs:
        assert tokens == inputs["image_grid_thw"].prod() // 4
    else:
        pixels = inputs["pixel_values"]  # [tiles, 3, side, side], or [samples, tiles, ...]
        assert tokens == 4 * (pixels.shape[0] if pixels.ndim == 4 else pixels.shape[1])


def test_a_class_without_a_video_part_stays_as_it_is():
    assert without_video(transformers.LlavaProcessor) is transformers.LlavaProcessor


def test_the_package_that_is_missing():
    assert missing_package(ImportError("x is required. Install it with `pip install num2words`.")) == "num2words"
    assert missing_package(ImportError("\nA requires the Torchvision library but")) == "torchvision"
    assert missing_package(ValueError("x. Missing optional dependencies: torchvision. Please install")) == "torchvision"
    assert missing_package(ModuleNotFoundError("No module named 'x'", name="x")) == "x"
    assert missing_package(ImportError("cannot import name")) is None


@pytest.mark.skipif(is_torchvision_available(), reason="torchvision is installed")
@pytest.mark.parametrize("family", [lfm2_vl, llama4])
def test_an_image_processor_that_has_no_version_without_torchvision(family, tmp_path):
    kind = "Lfm2Vl" if family is lfm2_vl else "Llama4"
    facts = {
        "processor_class": f"{kind}Processor",
        "image_processor": {"image_processor_type": f"{kind}ImageProcessor"},
    }
    (tmp_path / "processor_config.json").write_text(json.dumps(facts))
    family.tiny_config().save_pretrained(tmp_path)
    tiny_tokenizer("<image>").save_pretrained(tmp_path)
    with pytest.raises(MissingPackage, match="torchvision"):
        load_processor(tmp_path)


@pytest.mark.parametrize(("message", "error"), [("pip install x", MissingPackage), ("no", BrokenModel)])
def test_a_processor_that_cannot_be_imported(processor, tmp_path, monkeypatch, message, error):
    processor.save_pretrained(tmp_path)

    def fail(own):
        raise ImportError(message)

    monkeypatch.setattr(processors, "without_video", fail)
    with pytest.raises(error):
        load_processor(tmp_path)
