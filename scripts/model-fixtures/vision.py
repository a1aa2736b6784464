"""Small image models, the layers of the real ones: torchvision's blocks where torchvision has them."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.ops.misc import Conv2dNormActivation


class NarrowResNet18(ResNet):
    """torchvision's ResNet-18 (its blocks, strides and forward) with few channels."""

    def __init__(self, widths=(6, 8, 10, 12), classes=5):
        nn.Module.__init__(self)
        self._norm_layer = nn.BatchNorm2d
        self.dilation, self.groups, self.base_width = 1, 1, 64
        self.inplanes = widths[0]
        self.conv1 = nn.Conv2d(3, widths[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            self._make_layer(BasicBlock, width, 2, stride=1 if index == 0 else 2) for index, width in enumerate(widths)
        )
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(widths[-1], classes)


def mobilenet_v2():
    model = MobileNetV2(
        num_classes=5,
        width_mult=0.25,
        inverted_residual_setting=[[1, 16, 1, 1], [3, 24, 2, 2], [3, 32, 2, 2]],
        round_nearest=2,
        dropout=0.0,
    )
    channels = model.features[-1][0].in_channels
    model.features[-1] = Conv2dNormActivation(channels, 16, kernel_size=1, activation_layer=nn.ReLU6)
    model.classifier[1] = nn.Linear(16, 5)
    return model


def mobilenet_v3():
    config = partial(InvertedResidualConfig, width_mult=1.0)
    return MobileNetV3(
        [
            config(16, 3, 16, 16, True, "RE", 2, 1),
            config(16, 3, 24, 16, False, "RE", 2, 1),
            config(16, 5, 24, 16, True, "HS", 1, 1),
            config(16, 5, 32, 24, True, "HS", 2, 2),
        ],
        last_channel=24,
        num_classes=5,
        dropout=0.0,
    )


class ConvNet(nn.Module):
    """A plain image classifier without normalization: convolutions, both poolings, an average at the end."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.grouped = nn.Conv2d(6, 8, (3, 5), stride=(2, 1), padding=(0, 2), dilation=(2, 1), groups=2)
        self.last = nn.Conv2d(8, 10, 1)
        self.head = nn.Linear(10, 5)

    def forward(self, image):
        x = F.max_pool2d(F.relu(self.first(image)), 2)
        x = F.avg_pool2d(F.silu(self.grouped(x)), 3, stride=2, padding=1)
        x = F.gelu(self.last(x))
        return self.head(x.mean((2, 3)))


class SmallUNet(nn.Module):
    """Down and up again: padding in three modes, PReLU, group and instance norms, both kinds of resizing."""

    def __init__(self):
        super().__init__()
        self.enter = nn.Conv2d(2, 4, 3)
        self.slope = nn.PReLU(4)
        self.down = nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.group_norm = nn.GroupNorm(2, 8)
        self.middle = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4)
        self.instance_norm = nn.InstanceNorm2d(8, affine=True)
        self.single_slope = nn.PReLU()
        self.up = nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1)
        self.merge = nn.Conv2d(8, 4, 3, padding=1)
        self.grow = nn.ConvTranspose2d(4, 4, 2, stride=2, groups=2)
        self.leave = nn.Conv2d(12, 1, 1)

    def forward(self, image):
        wide = self.slope(self.enter(F.pad(image, (1, 1, 1, 1), mode="reflect")))
        low = F.elu(self.group_norm(self.down(wide)))
        low = self.single_slope(self.instance_norm(self.middle(low))) + low
        lowest = F.avg_pool2d(low, 2)
        low = low + F.interpolate(lowest, scale_factor=2, mode="nearest")
        x = self.merge(torch.cat([F.leaky_relu(self.up(low), 0.1), wide], 1))
        x = F.pad(x, (1, 0, 0, 1), mode="replicate")[:, :, :-1, 1:]
        parts = [
            self.grow(x),
            F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False),
            F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
        ]
        return self.leave(F.softplus(torch.cat(parts, 1)))
